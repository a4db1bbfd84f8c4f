#include "notp-client/agent/core/backoff.hpp"

#include <algorithm>

namespace notp::agent {

TimeMs Backoff::next(Random& random, TimeMs retry_after_ms) {
  const int doublings = std::min(failures_++, 20);
  // The requested wait gets jitter on top, because every node got the same one.
  return retry_after_ms + within(random, first_ms_ << doublings);
}

TimeMs Backoff::within(Random& random, TimeMs ceiling_ms) const {
  return static_cast<TimeMs>(
      random.below(static_cast<uint64_t>(std::min(max_ms_, ceiling_ms)) + 1));
}

}  // namespace notp::agent
