// Clocks and chance of the spool, which is a shell: its records carry nanoseconds.
#pragma once

#include <chrono>
#include <cstdint>

#include "common/bytes.hpp"
#include "common/random.hpp"

namespace notp::spool {

inline int64_t wall_ns() {
  return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

inline uint64_t random_number() { return SystemRandom().next_u64(); }

inline Bytes random_bytes(size_t count) {
  Bytes out;
  while (out.size() < count) {
    uint64_t value = random_number();
    for (size_t i = 0; i < sizeof value && out.size() < count; ++i, value >>= 8)
      out.push_back(static_cast<char>(value));
  }
  return out;
}

}  // namespace notp::spool
