#include "notp-client/lane/host/lane_status.hpp"

#include <algorithm>

#include "notp-client/lane/core/lane_core.hpp"

namespace notp::lane {

TimeMs trusted_ms(const LaneReadout& readout, TimeMs boot_ms) {
  return readout.trusted_ms + std::max<TimeMs>(0, boot_ms - readout.boot_ms);
}

TimeMs LaneStatus::trusted_ms(TimeMs boot_ms) const { return lane::trusted_ms(readout, boot_ms); }

std::string_view LaneStatus::state(TimeMs boot_ms) const {
  return lane_state_name(readout, trusted_ms(boot_ms));
}

int64_t LaneStatus::age_s(TimeMs boot_ms) const {
  if (readout.heard_ms == 0) return -1;
  return std::max<TimeMs>(0, trusted_ms(boot_ms) - readout.heard_ms) / 1000;
}

}  // namespace notp::lane
