#include "notp-client/opa_log/event_key.hpp"

#include <xxhash.h>

#include <optional>

namespace notp::opa_log {
namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::optional<EventKey> uuid_of(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  EventKey key;
  size_t digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = digit(text[i]);
    if (value < 0) return std::nullopt;
    uint8_t& byte = key.bytes[digits / 2];
    byte = static_cast<uint8_t>(byte << 4 | value);
    ++digits;
  }
  return key;
}

}  // namespace

EventKey EventKey::of_text(ByteView event) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(event.data(), event.size()));
  EventKey key;
  std::memcpy(key.bytes.data(), canonical.digest, kSize);
  return key;
}

EventKey EventKey::of_id(std::string_view decision_id) {
  if (const auto uuid = uuid_of(decision_id)) return *uuid;
  return of_text(decision_id);
}

}  // namespace notp::opa_log
