#include "common/crypto/small_order.hpp"

#include <algorithm>

namespace notp {
namespace {

// The points of small order by their y coordinate, the sign bit masked out, in canonical and
// non-canonical encodings.
constexpr std::string_view kOf25519[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
constexpr std::string_view kOf448[] = {
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "00000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "00000000000000000000",
    "fefffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffff"
    "ffffffffffffffffff00",
    "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffff"
    "ffffffffffffffffff00",
    "00000000000000000000000000000000000000000000000000000000ffffffffffffffffffffffffffffffffffffff"
    "ffffffffffffffffff00"};

bool is_among(auto& encodings, ByteView key) {
  if (key.size() * 2 != encodings[0].size()) return false;
  Bytes masked(key);
  masked.back() = static_cast<char>(masked.back() & 0x7f);
  return std::ranges::find(encodings, to_hex(masked)) != std::end(encodings);
}

}  // namespace

bool has_small_order_25519(ByteView key) { return is_among(kOf25519, key); }
bool has_small_order_448(ByteView key) { return is_among(kOf448, key); }

}  // namespace notp
