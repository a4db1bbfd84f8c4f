// Base64 for URLs and file names without padding (RFC 4648 §5, RFC 7515 §2).
#pragma once

#include <string>
#include <string_view>

#include "common/bytes.hpp"

namespace notp {

std::string to_base64url(ByteView bytes);
// One value has one encoding: kMessage for padding, for white space and every other foreign
// character, and for bits after the last byte that are not zero.
Result<Bytes> from_base64url(std::string_view text);

}  // namespace notp
