// Named limits of a session beyond those that both ends must know (common/limits.hpp).
#pragma once

#include <cstddef>
#include <cstdint>

namespace notp::limits {

// Queries of one session that wait for their answer.
inline constexpr size_t kQueriesPerSessionMax = 16;

}  // namespace notp::limits
