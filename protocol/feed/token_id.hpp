// How a lane names tokens, subjects and sessions: by the front of a hash. The token itself, and the
// name of a subject, are stored, sent and logged nowhere.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "common/bytes.hpp"

namespace notp::feed {

struct TokenId {
  static constexpr size_t kSize = 16;
  std::array<uint8_t, kSize> bytes{};

  // kMessage unless `view` is exactly 16 bytes.
  static Result<TokenId> from_bytes(ByteView view);
  // 32 hexadecimal digits, or the 64 of a whole SHA-256.
  static Result<TokenId> from_hex(std::string_view text);
  ByteView view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  std::string hex() const { return to_hex(view()); }
  bool is_zero() const { return *this == TokenId{}; }
  auto operator<=>(const TokenId&) const = default;
};

struct HashOfTokenId {
  size_t operator()(const TokenId& id) const {
    size_t value;
    std::memcpy(&value, id.bytes.data(), sizeof value);
    return value;
  }
};

// Returns the front of SHA-256 of what a PEP presents: a reference token, or a whole JWT.
TokenId token_id(std::string_view token);

// What a revocation that names no token is about.
enum class MarkKind : uint8_t {
  kSubject,      // `sub`
  kSession,      // `sid`
  kTokenNumber,  // `jti`
  kTransaction,  // `txn` of a transaction token
};
// "sub", "sid", "jti", "txn".
std::string_view mark_kind_name(MarkKind kind);

// Returns the front of SHA-256 of "<kind>:<hex SHA-256 of issuer>:<hex SHA-256 of value>": no value
// can pretend to be another one, and Rego can compute it.
TokenId mark_key(MarkKind kind, std::string_view issuer, std::string_view value);

}  // namespace notp::feed
