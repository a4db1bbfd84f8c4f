// Rules that several kinds of statements share. Private to protocol/trust.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string_view>

#include "common/clock.hpp"
#include "common/limits.hpp"
#include "common/result.hpp"

namespace notp::trust {

inline constexpr std::string_view kNotProtobuf = "the payload does not decode";
inline constexpr std::string_view kNotCanonical =
    "not in canonical form, or with a field that this program is too old to understand";

inline std::unexpected<Error> refuse(std::string_view statement, std::string_view why) {
  return fail(ErrorCode::kStatement, fmt::format("{} statement: {}", statement, why));
}

// A broken rule on a name in a statement is not the caller's usage error.
inline std::unexpected<Error> refuse(std::string_view statement, const Error& error) {
  return refuse(statement, error.message);
}

inline bool in_range(uint64_t value, uint64_t low, uint64_t high) {
  return value >= low && value <= high;
}

inline Result<void> check_times(std::string_view statement, TimeMs issued_ms, TimeMs expires_ms) {
  if (issued_ms <= 0 || issued_ms > limits::kTimestampMsMax)
    return refuse(statement, "issued_ms is missing or out of range");
  if (expires_ms != 0 && (expires_ms <= issued_ms || expires_ms > limits::kTimestampMsMax))
    return refuse(statement, "expires_ms is not after issued_ms or out of range");
  return {};
}

bool strictly_ascending(const auto& values) {
  return std::ranges::adjacent_find(values, std::greater_equal{}) == values.end();
}

}  // namespace notp::trust
