// Frames: type (1 byte) ‖ payload length (varint, at most 4 bytes) ‖ payload.
#pragma once

#include "protocol/wire/messages.hpp"

namespace notp::wire {

// Stable numbers. A type from 128 on may be skipped by who does not know it; an unknown lower one
// is an error.
enum class FrameType : uint8_t {
  kHello = 1,
  kWelcome = 2,
  kOffer = 3,
  kChunk = 4,
  kCommit = 5,
  kWantMore = 6,
  kPing = 7,
  kPong = 8,
  kError = 9,
  kBye = 10,
  kRootUpdate = 11,
  kFreshnessUpdate = 12,
  kInventoryRequest = 13,
  kInventory = 14,
  kPublish = 16,
  kPublishResult = 17,
  kQuery = 18,
  kAnswer = 19,
  kJoin = 20,
  kJoined = 21,
};
inline constexpr uint8_t kFirstSkippableType = 128;

// The message as one frame, ready to send. kInternal when it breaks a limit or a rule of its form:
// with what is in it the program made a message that its reader would have to refuse.
Result<Bytes> try_encode_frame(const Message& message);

// The same for a message whose form nothing from outside can break, such as an Error: asserted.
Bytes encode_frame(const Message& message);

// The frame header for a chunk of `bytes` on `stream`: header, then stream number; the chunk's
// bytes follow it as they are, so that a shared buffer is sent without a copy.
Bytes encode_chunk_header(uint32_t stream, size_t bytes);

// One payload. kMessage when it does not decode, passes a limit, has bad UTF-8, an unknown enum
// value, a missing field, or a hash of another length than 32. kFrame for an unknown type.
Result<Message> decode_payload(uint8_t type, ByteView payload);

// Cuts a byte stream into messages, however it is fragmented. One thread.
class FrameParser {
 public:
  // Appends received bytes. Memory: at most one frame and what `bytes` holds.
  void feed(ByteView bytes);
  // The next message; nullopt when more bytes are needed. After an error the parser stays failed:
  // kFrame (length not in shortest form, over kFrameBytesMax; unknown type), kMessage. The views in
  // a returned Chunk live until the next call of feed() or next().
  Result<std::optional<Message>> next();
  // Are there bytes of an incomplete frame? A stream that ends here was cut.
  bool in_frame() const { return consumed_ < buffer_.size(); }

 private:
  Bytes buffer_;
  size_t consumed_ = 0;
  std::optional<Error> failed_;
};

}  // namespace notp::wire
