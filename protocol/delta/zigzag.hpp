// Maps signed numbers to unsigned ones: 0, -1, 1, -2, … to 0, 1, 2, 3, …, so that small ones are
// short.
#pragma once

#include <cstdint>

namespace notp::delta {

constexpr uint64_t zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
constexpr int64_t unzigzag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

}  // namespace notp::delta
