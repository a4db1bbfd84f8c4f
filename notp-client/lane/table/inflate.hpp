// The bytes of a token status list (draft-ietf-oauth-status-list §4.1).
#pragma once

#include "common/bytes.hpp"

namespace notp::lane {

// Inflates ZLIB (RFC 1950) that fills all of `zlib`. kLimit: more than `bytes_max`; kMessage: not
// ZLIB, cut off, or followed by something else.
Result<Bytes> inflate_list(ByteView zlib, size_t bytes_max);

}  // namespace notp::lane
