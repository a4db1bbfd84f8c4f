// Limits of a session beyond those that both ends must know (common/limits.hpp).
#pragma once

#include <cstddef>
#include <cstdint>

namespace notp::limits {

// Requests of one session that wait for their response.
inline constexpr size_t kRequestsPerSessionMax = 16;

// A publish may take kTransferStallMs, and a second for each so many received bytes. A peer that
// announces much and sends little cannot keep the space.
inline constexpr size_t kUploadBytesPerSecondMin = 16 << 10;

// A node that holds more than the registry answers a HeldRequest in this time, and what it says is
// verified: until then no statement of freshness contradicts it.
inline constexpr int64_t kHeldAnswerMs = 2'000;

// From a ReturnRequest to its Return: the node reads the release and makes its artifact.
inline constexpr int64_t kReturnAnswerMs = 120'000;

}  // namespace notp::limits
