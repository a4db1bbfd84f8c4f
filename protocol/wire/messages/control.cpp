#include "protocol/wire/messages/control.hpp"

#include "protocol/wire/message_codec.hpp"

namespace notp::wire {

template <>
struct Codec<Ping> {
  using Proto = pb::Ping;
  static constexpr FieldRule kFields[] = {rules::u64(1)};
  static constexpr Layout kLayout{Ping::kName, kFields};

  static Result<void> check(const Ping&) { return {}; }
  static void put(Proto& out, const Ping& in) { out.set_nonce(in.nonce); }
  static Result<Ping> take(const Proto& in) { return Ping{in.nonce()}; }
};

template <>
struct Codec<Pong> {
  using Proto = pb::Pong;
  static constexpr FieldRule kFields[] = {rules::u64(1)};
  static constexpr Layout kLayout{Pong::kName, kFields};

  static Result<void> check(const Pong&) { return {}; }
  static void put(Proto& out, const Pong& in) { out.set_nonce(in.nonce); }
  static Result<Pong> take(const Proto& in) { return Pong{in.nonce()}; }
};

template <>
struct Codec<ErrorMessage> {
  using Proto = pb::ErrorMessage;
  static constexpr FieldRule kFields[] = {rules::u32(1), rules::text(2), rules::u32(3)};
  static constexpr Layout kLayout{ErrorMessage::kName, kFields};

  static Result<void> check(const ErrorMessage&) { return {}; }
  static void put(Proto& out, const ErrorMessage& in) {
    out.set_code(static_cast<uint32_t>(in.code));
    out.set_message(clean_text(in.message));
    out.set_retry_after_ms(in.retry_after_ms);
  }
  static Result<ErrorMessage> take(const Proto& in) {
    return ErrorMessage{error_code_from_wire(in.code()), in.message(), in.retry_after_ms()};
  }
};

template <>
struct Codec<Bye> {
  using Proto = pb::Bye;
  static constexpr FieldRule kFields[] = {rules::text(1), rules::u32(2)};
  static constexpr Layout kLayout{Bye::kName, kFields};

  static Result<void> check(const Bye&) { return {}; }
  static void put(Proto& out, const Bye& in) {
    out.set_reason(clean_text(in.reason));
    out.set_retry_after_ms(in.retry_after_ms);
  }
  static Result<Bye> take(const Proto& in) { return Bye{in.reason(), in.retry_after_ms()}; }
};

template struct MessageCodec<Ping>;
template struct MessageCodec<Pong>;
template struct MessageCodec<ErrorMessage>;
template struct MessageCodec<Bye>;

}  // namespace notp::wire
