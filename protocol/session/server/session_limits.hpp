// Limits of a session beyond those that both ends must know (common/limits.hpp).
#pragma once

#include <cstddef>

namespace notp::limits {

// Requests of one session that wait for their response.
inline constexpr size_t kRequestsPerSessionMax = 16;

// A publish may take kTransferStallMs, and a second for each so many received bytes. A peer that
// announces much and sends little cannot keep the space.
inline constexpr size_t kUploadBytesPerSecondMin = 16 << 10;

}  // namespace notp::limits
