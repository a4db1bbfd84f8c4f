#include "common/base64url.hpp"

#include <algorithm>

namespace notp {
namespace {

bool is_digit(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

}  // namespace

std::string to_base64url(ByteView bytes) {
  std::string text = to_base64(bytes);
  text.erase(std::ranges::find(text, '='), text.end());
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return text;
}

Result<Bytes> from_base64url(std::string_view text) {
  if (!std::ranges::all_of(text, is_digit))
    return fail(ErrorCode::kMessage, "not base64url without padding: a foreign character");
  std::string digits(text);
  std::ranges::replace(digits, '-', '+');
  std::ranges::replace(digits, '_', '/');
  digits.resize((digits.size() + 3) / 4 * 4, '=');
  // A single digit in the last group leaves "x===", which from_base64() refuses.
  return from_base64(digits);
}

}  // namespace notp
