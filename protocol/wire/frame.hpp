// Frames: type (1 byte) ‖ payload length (varint, at most 4 bytes) ‖ payload.
#pragma once

#include "protocol/wire/frame_type.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::wire {

// The message as one frame, ready to send. kInternal when it breaks a limit or a rule of its form:
// with what is in it the program made a message that its reader would have to refuse.
Result<Bytes> try_encode_frame(const Message& message);

// The same for a message whose form nothing from outside can break, such as an Error: asserted.
Bytes encode_frame(const Message& message);

// The frame header for a chunk of `bytes` on `stream`: header, then stream number; the chunk's
// bytes follow it as they are, so that a shared buffer is sent without a copy.
Bytes encode_chunk_header(uint32_t stream, size_t bytes);

// As in schemas/notp.proto: "Hello"; of a Request or Response with its content, "Request Withdraw".
std::string name_of(const Message& message);

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
