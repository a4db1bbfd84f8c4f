// Compresses the bodies of closed days again, harder than a node has the time for.
#pragma once

#include <cstdint>
#include <functional>

#include "notp-server/audit/day_files.hpp"

namespace notp::audit {

struct Recompressed {
  uint64_t segments = 0;
  uint64_t bytes_before = 0, bytes_after = 0;  // of all bodies of the day
};

// Makes the file of one closed day anew with bodies of kDayRecompressLevel, where they are smaller.
// Records, hashes and checkpoints stay. `keep_going` is asked before each segment, and may block
// while others work; false ends it. nullopt: the day is done already, is written to, or was changed
// meanwhile. kCancelled, kIo, kCorrupt.
Result<std::optional<Recompressed>> recompress_day(DayFiles& store, uint32_t day,
                                                   const std::function<bool()>& keep_going);

// Whether a registry has so much to take in that what can wait should: more than
// kBusySegmentsPerSecond, in the last whole second. Pure; one thread.
class ArrivalRate {
 public:
  // `total` is a counter of segments, since any time.
  bool is_high(uint64_t total, TimeMs boot_ms);

 private:
  std::optional<TimeMs> since_ms_;
  uint64_t total_ = 0;
  bool is_high_ = false;
};

// All days that are closed and not done. Errors are logged.
void recompress_days(DayFiles& store, const std::function<bool()>& keep_going);

}  // namespace notp::audit
