// Identifies a span of a trace across processes: W3C Trace Context, Level 1, section 3.2.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "common/bytes.hpp"

namespace notp {

struct TraceContext {
  // Of its binary form: trace id, span id, flags.
  static constexpr size_t kSize = 16 + 8 + 1;

  std::array<uint8_t, 16> trace{};  // not zero
  std::array<uint8_t, 8> span{};    // not zero: the parent of what the receiver adds
  bool is_sampled = false;

  bool operator==(const TraceContext&) const = default;

  Bytes bytes() const {
    Bytes out(trace.begin(), trace.end());
    out.append(span.begin(), span.end());
    out.push_back(is_sampled ? 1 : 0);
    return out;
  }
  // nullopt: another length, or an id of zeros. Unknown flags are ignored.
  static std::optional<TraceContext> from_bytes(ByteView bytes) {
    if (bytes.size() != kSize) return std::nullopt;
    TraceContext out;
    std::ranges::copy(bytes.substr(0, 16), out.trace.begin());
    std::ranges::copy(bytes.substr(16, 8), out.span.begin());
    out.is_sampled = (static_cast<uint8_t>(bytes.back()) & 1U) != 0;
    const TraceContext none;
    if (out.trace == none.trace || out.span == none.span) return std::nullopt;
    return out;
  }
};

}  // namespace notp
