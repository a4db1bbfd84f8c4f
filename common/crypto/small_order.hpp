// Public keys of small order of RFC 8032, under which one signature can verify many messages.
#pragma once

#include "common/bytes.hpp"

namespace notp {

// Whether the key, in any encoding of its point, has order 1, 2, 4 or 8. False for bytes that are
// not a key.
bool has_small_order_25519(ByteView key);
// The same for Ed448: order 1, 2 or 4.
bool has_small_order_448(ByteView key);

}  // namespace notp
