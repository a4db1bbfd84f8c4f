// Checks the shape of an encoded message before Protobuf parses it. Protobuf merges a singular
// field that comes twice, lets the last member of a oneof win, cuts a 64-bit varint down to 32
// bits, and allocates an object for every two bytes of an empty repeated message: each of these
// would let two readers see different messages, or a frame of 1 MiB take a hundred times its size.
#pragma once

#include "common/bytes.hpp"
#include "protocol/wire/frame.hpp"

namespace notp::wire {

// kMessage when a known field has another wire type than schemas/notp.proto says, comes more often
// than it may, or is longer than its limit; when two members of a oneof are present; when a varint
// is over its type or not in shortest form; or when a group or a cut field is met. Unknown fields
// are skipped, never entered: a newer peer may send them.
Result<void> check_shape(FrameType type, ByteView payload);

}  // namespace notp::wire
