#include "common/uuid.hpp"

#include <openssl/rand.h>

#include <array>

#include "common/assert.hpp"

namespace notp {

std::string random_uuid() {
  std::array<unsigned char, 16> bytes{};
  NOTP_ASSERT(RAND_bytes(bytes.data(), bytes.size()) == 1,
              "the operating system gave no randomness");
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0F) | 0x40);  // version
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3F) | 0x80);  // variant
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text.push_back('-');
    text.push_back(kDigits[bytes[i] >> 4]);
    text.push_back(kDigits[bytes[i] & 0x0F]);
  }
  return text;
}

}  // namespace notp
