// The state of a node's token lane, for health, status and metrics.
#pragma once

#include <map>
#include <string>

#include "notp-client/lane/core/lane_effect.hpp"

namespace notp::lane {

// Trusted time at the boot clock `boot_ms`, as of what the lane last showed.
TimeMs trusted_ms(const LaneReadout& readout, TimeMs boot_ms);

struct LaneStatus {
  LaneReadout readout;  // as of its trusted_ms
  bool is_in_snapshot = false;
  bool is_connected = false;  // a session is open
  uint64_t acknowledged = 0;  // revision of which the registry was told
  size_t tokens = 0, tombstones = 0, marks = 0, lists = 0;
  uint64_t memory_bytes = 0;
  // Since the start.
  uint64_t statements = 0, refused = 0;  // of the registry
  uint64_t events = 0;                   // that were taken
  uint64_t tokens_refused = 0;           // beyond what the table takes
  uint64_t asked = 0, unanswered = 0;
  size_t open = 0, held = 0;                // asks, answers
  std::map<LaneTopic, std::string> alarms;  // that last
  std::string trouble;                      // of the table; empty: none

  // At the boot clock `boot_ms`.
  TimeMs trusted_ms(TimeMs boot_ms) const;
  std::string_view state(TimeMs boot_ms) const;
  // Since the newest statement; -1: there was none.
  int64_t age_s(TimeMs boot_ms) const;
};

}  // namespace notp::lane
