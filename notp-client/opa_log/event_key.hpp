// What an event of OPA is recognized by when it arrives again.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/bytes.hpp"

namespace notp::opa_log {

struct EventKey {
  static constexpr size_t kSize = 16;
  std::array<uint8_t, kSize> bytes{};

  // Of a decision id: the 16 bytes of a UUID in OPA's form (lower case), of another text its
  // XXH3-128. Exact for what OPA makes: no two of its ids share a key.
  static EventKey of_id(std::string_view decision_id);
  // Of an event without an id, which is the same text whenever OPA sends it.
  static EventKey of_text(ByteView event);
  ByteView view() const { return {reinterpret_cast<const char*>(bytes.data()), kSize}; }
  bool operator==(const EventKey&) const = default;
};

struct HashOfKey {
  size_t operator()(const EventKey& key) const {
    // A UUID of version 7 begins with a time: its second half is random in every version.
    uint64_t first = 0, second = 0;
    std::memcpy(&first, key.bytes.data(), 8);
    std::memcpy(&second, key.bytes.data() + 8, 8);
    return (first ^ second) * 0x9E3779B97F4A7C15ULL >> 16;
  }
};

}  // namespace notp::opa_log
