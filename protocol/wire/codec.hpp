// Messages to and from the payloads of their frames. Everything but Chunk is Protobuf.
#pragma once

#include "protocol/wire/frame.hpp"

namespace notp::wire {

// The payload for a message that check() accepts and that is no Chunk. Foreign text is made UTF-8
// and cut to its limit. An Answer keeps the rows that fit into a frame and says `more`.
Bytes encode_payload(const Message& message);

// kMessage, as decode_payload(). `type` is not kChunk.
Result<Message> decode_protobuf(FrameType type, ByteView payload);

}  // namespace notp::wire
