// The names of logs and of the decisions in them.
#pragma once

#include <array>
#include <compare>
#include <optional>
#include <string>

#include "common/bytes.hpp"
#include "common/crypto/signature.hpp"

namespace notp::record {

using Position = uint64_t;  // of a record in its log: from 0, dense

// One incarnation of one node's spool: the first 16 bytes of SHA-256 of its log key.
struct LogId {
  static constexpr size_t kSize = 16;
  std::array<uint8_t, kSize> bytes{};

  static LogId of(const PublicKey& log_key);
  // kMessage unless `view` is exactly 16 bytes.
  static Result<LogId> from_bytes(ByteView view);
  static Result<LogId> from_hex(std::string_view text);
  ByteView view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  std::string hex() const { return to_hex(view()); }
  auto operator<=>(const LogId&) const = default;
};

// The address of a decision. Its text is a UUID of version 8 (RFC 9562 §5.8): 48 bits of the log
// id, 12 of the run, 48 of the position, 14 of check, most significant first.
struct DecisionAddress {
  std::array<uint8_t, 6> log_prefix{};  // the first bytes of the log id
  uint32_t run = 0;                     // at most kRunMax
  Position position = 0;                // at most kPositionMax

  static DecisionAddress of(const LogId& log, uint32_t run, Position position);
  // nullopt: another kind of UUID, or one that was mistyped.
  static std::optional<DecisionAddress> parse(std::string_view text);
  std::string text() const;
  bool operator==(const DecisionAddress&) const = default;
};

}  // namespace notp::record
