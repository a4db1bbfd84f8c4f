// Cuts a text at the end of a character.
#pragma once

#include <string_view>

namespace notp {

// Returns the beginning of `text`, at most `bytes_max` bytes of it.
inline std::string_view utf8_cut(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xc0) == 0x80) --bytes_max;
  return text.substr(0, bytes_max);
}

}  // namespace notp
