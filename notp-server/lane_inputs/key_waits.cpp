#include "notp-server/lane_inputs/key_waits.hpp"

#include <algorithm>

#include "notp-server/lane_inputs/lane_input_limits.hpp"

namespace notp::lane_inputs {

bool KeyWaits::is_worth_waiting(std::string_view kid, TimeMs boot_ms) {
  // One that was met long ago may be a new one again: keys come back, too.
  std::erase_if(
      seen_, [boot_ms](const Seen& seen) { return boot_ms - seen.first_ms >= 2 * kUnknownKeyMs; });
  const auto found = std::ranges::find(seen_, kid, &Seen::kid);
  if (found != seen_.end()) return boot_ms - found->first_ms < kUnknownKeyMs;
  if (seen_.size() == kUnknownKeysMax) seen_.erase(seen_.begin());
  seen_.push_back({std::string(kid), boot_ms});
  return true;
}

}  // namespace notp::lane_inputs
