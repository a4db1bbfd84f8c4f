// Configuration of a spool: section `decisions` of the agent's configuration.
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/limits.hpp"

namespace notp::spool {

// What happens to a decision while there is no room for its record. A failing disk counts as full.
enum class WhenFull : uint8_t {
  kRefuse,      // it is not given: kAuditUnavailable
  kDropOldest,  // the bodies of the oldest segments go; their hashes stay and are shipped
  kDropNewest,  // it is given, and counted
};

// How long a folder that takes nothing is left alone before it is opened again.
inline constexpr int64_t kOpenRetryMs = 3'000;

struct SpoolOptions {
  uint64_t spool_bytes = limits::kSpoolBytes;  // of sealed segments that are not acknowledged
  uint64_t ring_bytes = limits::kRingBytes;
  // For records that are not strict. A strict one is always refused.
  WhenFull when_full = WhenFull::kDropOldest;
  int64_t sync_ms = limits::kRingSyncMs;
  int64_t seal_connected_ms = limits::kSegmentConnectedMs;
  int64_t seal_offline_ms = limits::kSegmentOfflineMs;
  int64_t open_retry_ms = kOpenRetryMs;
  // Names the machine's start: after another one, what was not synced may be lost.
  std::filesystem::path boot_id_file = "/proc/sys/kernel/random/boot_id";
};

}  // namespace notp::spool
