#include "notp-client/agent/core/backoff.hpp"

#include <algorithm>

namespace notp::agent {

TimeMs Backoff::next(Random& random, TimeMs retry_after_ms) {
  const int doublings = std::min(failures_++, 20);
  const TimeMs ceiling = std::min(max_ms_, first_ms_ << doublings);
  const auto jitter = static_cast<TimeMs>(random.below(static_cast<uint64_t>(ceiling) + 1));
  // The requested wait gets jitter on top, because every node got the same one.
  return retry_after_ms + jitter;
}

}  // namespace notp::agent
