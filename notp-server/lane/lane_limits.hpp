// Limits of token lanes at a registry.
#pragma once

#include <cstddef>
#include <cstdint>

namespace notp::lane {

inline constexpr size_t kLanesMax = 16;          // of one registry
inline constexpr size_t kLaneSourcesMax = 32;    // of one lane
inline constexpr size_t kGrantsMax = 256;        // of one lane
inline constexpr size_t kGrantPatternsMax = 64;  // nodes, audiences or clients of one grant

// --- intake
inline constexpr size_t kIntakeEventsMax = 4'096;            // of one take()
inline constexpr size_t kIntakeWaitingEventsMax = 65'536;    // that wait for their transaction
inline constexpr size_t kIntakeWaitingBytesMax = 64U << 20;  // the same
inline constexpr size_t kSourceKeyBytesMax = 256;            // IncomingEvent::key
inline constexpr size_t kSourceNameBytesMax = 64;
inline constexpr int64_t kKeyLifeS = 24 * 3600;  // an event of that key is a duplicate
inline constexpr size_t kLivingPageMax = 4'096;  // ids

}  // namespace notp::lane
