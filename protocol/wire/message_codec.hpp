// Codec<T>: the wire format of a struct. A family's .cpp has one for each of its messages and rows:
//
//   Proto                       the generated class
//   kLayout                     structure: the fields of Proto with their limits
//   check(const T&)             content: kMessage names the field and the rule
//   put(Proto&, const T&)       to the generated message
//   take(const Proto&)          from it: kMessage for a value that T cannot hold
//
// and instantiates MessageCodec<T> below them for the frame layer.
#pragma once

#include <utility>
#include <vector>

#include "protocol/wire/codec.hpp"
#include "protocol/wire/messages/shared.hpp"
#include "protocol/wire/proto_fields.hpp"
#include "protocol/wire/semantic_check.hpp"

namespace notp::wire {

template <typename T>
struct Codec;

// --- for repeated fields

template <typename Row>
void put_rows(auto& field, const std::vector<Row>& rows) {
  for (const Row& row : rows) Codec<Row>::put(*field.Add(), row);
}

template <typename Row>
Result<std::vector<Row>> take_rows(const auto& field) {
  std::vector<Row> out;
  for (const auto& in : field) {
    NOTP_ASSIGN(Row row, Codec<Row>::take(in));
    out.push_back(std::move(row));
  }
  return out;
}

// `rule` says that there are too many.
template <typename Row>
Result<void> check_rows(const std::vector<Row>& rows, size_t rows_max, std::string_view rule) {
  NOTP_TRY(require(rows.size() <= rows_max, rule));
  for (const Row& row : rows) NOTP_TRY(Codec<Row>::check(row));
  return {};
}

// --- parts that several families have

template <>
struct Codec<model::LedgerId> {
  using Proto = pb::LedgerName;
  static constexpr FieldRule kFields[] = {rules::u64(1), rules::name(2)};
  static constexpr Layout kLayout{"LedgerName", kFields};

  static Result<void> check(const model::LedgerId& in) { return check_ledger(in); }
  static void put(Proto& out, const model::LedgerId& in) {
    out.set_zone(in.zone);
    out.set_name(in.name);
  }
  static Result<model::LedgerId> take(const Proto& in) { return ledger_of(in); }
};

inline void put(pb::LedgerName* out, const model::LedgerId& in) {
  Codec<model::LedgerId>::put(*out, in);
}

template <>
struct Codec<Base> {
  using Proto = pb::Base;
  static constexpr FieldRule kFields[] = {rules::u64(1), rules::hash(2)};
  static constexpr Layout kLayout{"Base", kFields};

  static Result<void> check(const Base& in) {
    NOTP_TRY(check_release(in.version, "base version"));
    return require(!in.content_root.is_zero(), "a base has no content root");
  }
  static void put(Proto& out, const Base& in) {
    out.set_version(in.version);
    out.set_content_root(hash_bytes(in.content_root));
  }
  static Result<Base> take(const Proto& in) {
    Base out{in.version(), {}};
    NOTP_ASSIGN(out.content_root, take_hash(in.content_root()));
    return out;
  }
};

// Takes the base of a message that may have one.
template <typename Proto>
Result<std::optional<Base>> take_base(const Proto& in) {
  if (!in.has_base()) return std::nullopt;
  NOTP_ASSIGN(Base base, Codec<Base>::take(in.base()));
  return base;
}

template <>
struct Codec<trust::ReleaseRef> {
  using Proto = pb::Head;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2), rules::hash(3), rules::hash(4),
                                          rules::u64(5)};
  static constexpr Layout kLayout{"Head", kFields};

  static Result<void> check(const trust::ReleaseRef& in) {
    NOTP_TRY(check_ledger(in.ledger));
    NOTP_TRY(check_release_or_none(in.version, "head version"));
    const bool released = in.version != 0;
    NOTP_TRY(require(in.release_hash.is_zero() != released,
                     "a head has a release hash exactly when it has a release"));
    return require(in.content_root.is_zero() != released,
                   "a head has a content root exactly when it has a release");
  }
  static void put(Proto& out, const trust::ReleaseRef& in) {
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_version(in.version);
    out.set_release_hash(hash_bytes_if_set(in.release_hash));
    out.set_content_root(hash_bytes_if_set(in.content_root));
    out.set_epoch(in.epoch);
  }
  static Result<trust::ReleaseRef> take(const Proto& in) {
    trust::ReleaseRef out;
    NOTP_ASSIGN(out.ledger, take_ledger(in));
    out.version = in.version();
    NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
    NOTP_ASSIGN(out.content_root, take_hash(in.content_root()));
    out.epoch = in.epoch();
    return out;
  }
};

template <>
struct Codec<Refusal> {
  using Proto = pb::Refusal;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u32(2), rules::text(3)};
  static constexpr Layout kLayout{"Refusal", kFields};

  static Result<void> check(const Refusal& in) { return check_ledger(in.ledger); }
  static void put(Proto& out, const Refusal& in) {
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_code(static_cast<uint32_t>(in.code));
    out.set_message(clean_text(in.message));
  }
  static Result<Refusal> take(const Proto& in) {
    NOTP_ASSIGN(model::LedgerId ledger, take_ledger(in));
    return Refusal{std::move(ledger), error_code_from_wire(in.code()), in.message()};
  }
};

// --- for the frame layer

// Request and Response have a layout() instead of kLayout: it is assembled from their parts.
template <typename T>
const Layout& layout_of() {
  if constexpr (requires { Codec<T>::layout(); })
    return Codec<T>::layout();
  else
    return Codec<T>::kLayout;
}

template <typename T>
Result<void> MessageCodec<T>::check(const T& message) {
  return Codec<T>::check(message);
}

template <typename T>
Bytes MessageCodec<T>::encode(const T& message) {
  typename Codec<T>::Proto out;
  Codec<T>::put(out, message);
  return serialize(out);
}

template <typename T>
Result<T> MessageCodec<T>::decode(ByteView payload) {
  NOTP_TRY(check_structure(layout_of<T>(), payload));
  typename Codec<T>::Proto in;
  NOTP_TRY(parse(payload, in));
  NOTP_ASSIGN(T message, Codec<T>::take(in));
  auto checked = Codec<T>::check(message);
  if (!checked) return std::unexpected(std::move(checked).error().in(T::kName));
  return message;
}

}  // namespace notp::wire
