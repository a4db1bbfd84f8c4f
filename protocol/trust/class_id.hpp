// The name of a class: the readers with the same list of targets, who share freshness statements.
#pragma once

#include <algorithm>
#include <array>
#include <compare>

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace notp::trust {

// Chosen by the registry; a reader learns from an assignment which class is its own, and computes
// none.
struct ClassId {
  static constexpr size_t kSize = 16;
  std::array<uint8_t, kSize> bytes{};

  // kMessage unless `view` is exactly 16 bytes.
  static Result<ClassId> from_bytes(ByteView view) {
    if (view.size() != kSize) return fail(ErrorCode::kMessage, "a class id is not 16 bytes long");
    ClassId id;
    std::ranges::copy(view, reinterpret_cast<char*>(id.bytes.data()));
    return id;
  }
  ByteView view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  std::string hex() const { return to_hex(view()); }
  auto operator<=>(const ClassId&) const = default;
};

}  // namespace notp::trust
