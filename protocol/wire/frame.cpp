#include "protocol/wire/frame.hpp"

#include <fmt/format.h>

#include <type_traits>
#include <utility>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "protocol/wire/codec.hpp"
#include "protocol/wire/semantic_check.hpp"

namespace notp::wire {
namespace {

// Calls `visit.operator()<T>()` for the alternative T of Message with frames of this type. False:
// there is none.
template <typename... Alternatives>
bool visit_type(const std::variant<Alternatives...>*, uint8_t type, auto visit) {
  const auto one = [&]<typename T>() {
    if (static_cast<uint8_t>(T::kFrame) != type) return false;
    visit.template operator()<T>();
    return true;
  };
  return (one.template operator()<Alternatives>() || ...);
}

constexpr const Message* kAnyMessage = nullptr;

bool is_known(uint8_t type) {
  return visit_type(kAnyMessage, type, []<typename T>() {});
}

Result<void> check(const Chunk& chunk) {
  NOTP_TRY(require(!chunk.bytes.empty(), "an empty chunk"));
  return require(chunk.bytes.size() <= limits::kChunkBytesMax, "the chunk is too long");
}

Result<void> check(const Message& message) {
  return std::visit(
      []<typename T>(const T& each) -> Result<void> {
        auto checked = [&] {
          if constexpr (std::is_same_v<T, Chunk>)
            return check(each);
          else
            return MessageCodec<T>::check(each);
        }();
        if (!checked) return std::unexpected(std::move(checked).error().in(T::kName));
        return {};
      },
      message);
}

void put_header(Bytes& out, FrameType type, size_t payload_bytes) {
  NOTP_ASSERT(payload_bytes <= limits::kFrameBytesMax, "a frame's payload is within its limit");
  out.push_back(static_cast<char>(type));
  put_varint(out, payload_bytes);
}

struct Header {
  uint8_t type = 0;
  size_t bytes = 0;  // of the header
  size_t payload_bytes = 0;
};

std::unexpected<Error> unknown_type(uint8_t type) {
  return fail(ErrorCode::kFrame, fmt::format("unknown frame type {}", type));
}

// Refuses as early as possible: a bad type at once, a long payload before any of it arrived.
// nullopt: more bytes are needed.
Result<std::optional<Header>> read_header(ByteView in) {
  if (in.empty()) return std::nullopt;
  Header header;
  header.type = static_cast<uint8_t>(in[0]);
  if (header.type < kFirstSkippableType && !is_known(header.type)) return unknown_type(header.type);
  for (size_t i = 1; i < limits::kFrameHeaderBytesMax; ++i) {
    if (i == in.size()) return std::nullopt;
    const auto byte = static_cast<uint8_t>(in[i]);
    header.payload_bytes |= static_cast<size_t>(byte & 0x7f) << (7 * (i - 1));
    if (byte & 0x80) continue;
    if (i > 1 && byte == 0)
      return fail(ErrorCode::kFrame, "a frame's length is not in shortest form");
    if (header.payload_bytes > limits::kFrameBytesMax)
      return fail(ErrorCode::kFrame, fmt::format("a frame of {} bytes, at most {}",
                                                 header.payload_bytes, limits::kFrameBytesMax));
    header.bytes = i + 1;
    return header;
  }
  return fail(ErrorCode::kFrame, "a frame's length takes more than 4 bytes");
}

Result<Message> decode_chunk(ByteView payload) {
  NOTP_ASSIGN(const uint64_t stream, take_varint(payload));
  if (stream > UINT32_MAX) return fail(ErrorCode::kMessage, "Chunk: stream is over 32 bits");
  const Message chunk = Chunk{static_cast<uint32_t>(stream), payload};
  NOTP_TRY(check(chunk));
  return chunk;
}

// For a message other than a Chunk.
std::pair<FrameType, Bytes> encode_payload(const Message& message) {
  return std::visit(
      []<typename T>(const T& each) -> std::pair<FrameType, Bytes> {
        if constexpr (std::is_same_v<T, Chunk>) {
          NOTP_ASSERT(false, "a Chunk has an encoding");
          return {};
        } else {
          return {T::kFrame, MessageCodec<T>::encode(each)};
        }
      },
      message);
}

// An idle session keeps no buffer larger than this.
constexpr size_t kIdleBufferBytes = 1024;

}  // namespace

std::string name_of(const Message& message) {
  return std::visit(
      []<typename T>(const T& each) {
        std::string out(T::kName);
        if constexpr (requires { each.what; })
          out.append(" ").append(
              std::visit([](const auto& what) { return what.kName; }, each.what));
        return out;
      },
      message);
}

Result<Bytes> try_encode_frame(const Message& message) {
  const auto broken = [](std::string_view rule) {
    return fail(ErrorCode::kInternal,
                fmt::format("a message was made that breaks a rule of the protocol ({}); it is not "
                            "sent",
                            rule));
  };
  if (const auto checked = check(message); !checked) return broken(checked.error().message);
  if (const auto* chunk = std::get_if<Chunk>(&message))
    return encode_chunk_header(chunk->stream, chunk->bytes.size()).append(chunk->bytes);
  const auto [type, payload] = encode_payload(message);
  if (payload.size() > limits::kFrameBytesMax)
    return broken(
        fmt::format("a payload of {} bytes, at most {}", payload.size(), limits::kFrameBytesMax));
  Bytes out;
  out.reserve(limits::kFrameHeaderBytesMax + payload.size());
  put_header(out, type, payload.size());
  return out.append(payload);
}

Bytes encode_frame(const Message& message) {
  auto frame = try_encode_frame(message);
  if (!frame) NOTP_ASSERT(false, frame.error().message.c_str());
  return *std::move(frame);
}

Bytes encode_chunk_header(uint32_t stream, size_t bytes) {
  NOTP_ASSERT(bytes > 0 && bytes <= limits::kChunkBytesMax, "a chunk is within its limit");
  Bytes number;
  put_varint(number, stream);
  Bytes out;
  put_header(out, FrameType::kChunk, number.size() + bytes);
  return out.append(number);
}

Result<Message> decode_payload(uint8_t type, ByteView payload) {
  if (payload.size() > limits::kFrameBytesMax)
    return fail(ErrorCode::kMessage, "a payload is longer than a frame may be");
  std::optional<Result<Message>> out;
  visit_type(kAnyMessage, type, [&]<typename T>() {
    if constexpr (std::is_same_v<T, Chunk>)
      out.emplace(decode_chunk(payload));
    else
      out.emplace(MessageCodec<T>::decode(payload));
  });
  if (!out) return unknown_type(type);
  return *std::move(out);
}

void FrameParser::feed(ByteView bytes) {
  if (failed_) return;
  // Once the caller has drained next(), the rest is part of one frame, and moves once.
  buffer_.erase(0, consumed_);
  consumed_ = 0;
  buffer_.append(bytes);
}

Result<std::optional<Message>> FrameParser::next() {
  while (!failed_) {
    const ByteView rest = ByteView(buffer_).substr(consumed_);
    auto header = read_header(rest);
    if (!header) {
      failed_ = std::move(header).error();
      break;
    }
    if (!*header || rest.size() - (*header)->bytes < (*header)->payload_bytes) {
      if (rest.empty() && buffer_.capacity() > kIdleBufferBytes) {
        buffer_ = Bytes();
        consumed_ = 0;
      }
      return std::nullopt;
    }
    const Header& frame = **header;
    consumed_ += frame.bytes + frame.payload_bytes;
    if (!is_known(frame.type)) continue;  // skippable, or read_header() had refused it
    auto message = decode_payload(frame.type, rest.substr(frame.bytes, frame.payload_bytes));
    if (message) return std::optional<Message>(*std::move(message));
    failed_ = std::move(message).error();
  }
  buffer_ = Bytes();
  consumed_ = 0;
  return std::unexpected(*failed_);
}

}  // namespace notp::wire
