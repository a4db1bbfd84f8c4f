// SHA-256 (FIPS 180-4).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "common/bytes.hpp"

namespace notp {

// A SHA-256 value. All zeros means "none" wherever a hash is optional.
struct Hash {
  std::array<uint8_t, 32> bytes{};

  static constexpr size_t kSize = 32;
  // kMessage unless `view` is exactly 32 bytes.
  static Result<Hash> from_bytes(ByteView view);
  static Result<Hash> from_hex(std::string_view text);
  ByteView view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  std::string hex() const { return to_hex(view()); }
  // Returns the first 12 hexadecimal digits, for people.
  std::string brief() const { return hex().substr(0, 12); }
  bool is_zero() const { return *this == Hash{}; }
  auto operator<=>(const Hash&) const = default;
};

struct HashOfHash {
  size_t operator()(const Hash& hash) const {
    size_t value;
    std::memcpy(&value, hash.bytes.data(), sizeof value);
    return value;
  }
};

// Incremental SHA-256. One thread at a time.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256& update(ByteView bytes);
  // Ends the computation; the object must not be used afterwards.
  Hash finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Hash sha256(ByteView bytes);

}  // namespace notp
