// Frames: type (1 byte) ‖ payload length (varint, at most 4 bytes) ‖ payload.
#pragma once

#include "protocol/wire/frame_type.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::wire {

// Encodes the message as one frame, ready to send. kInternal when it breaks a limit or a rule of
// its form: the program made a message that its reader would have to refuse.
Result<Bytes> try_encode_frame(const Message& message);

// The same for a message whose form external input cannot break, such as an Error: asserted.
Bytes encode_frame(const Message& message);

// Returns the frame header for a chunk of `bytes` on `stream`: header, then stream number; the
// chunk's bytes follow unchanged, so that a shared buffer is sent without a copy.
Bytes encode_chunk_header(uint32_t stream, size_t bytes);

// Returns the name in schemas/notp.proto: "Hello"; for a Request or Response with its content,
// "Request Withdraw".
std::string name_of(const Message& message);

// Decodes one payload. kMessage when it does not decode, exceeds a limit, has bad UTF-8, an unknown
// enum value, a missing field, or a hash of a length other than 32. kFrame for an unknown type.
Result<Message> decode_payload(uint8_t type, ByteView payload);

// Splits a byte stream into messages, however it is fragmented. One thread.
class FrameParser {
 public:
  // Appends received bytes. Memory: at most one frame and the size of `bytes`.
  void feed(ByteView bytes);
  // Returns the next message; nullopt when more bytes are needed. After an error the parser stays
  // failed: kFrame (length not in shortest form, over kFrameBytesMax; unknown type), kMessage. The
  // views in a returned Chunk live until the next call of feed() or next().
  Result<std::optional<Message>> next();
  // Whether there are bytes of an incomplete frame. A stream that ends here was cut.
  bool in_frame() const { return consumed_ < buffer_.size(); }

 private:
  Bytes buffer_;
  size_t consumed_ = 0;
  std::optional<Error> failed_;
};

}  // namespace notp::wire
