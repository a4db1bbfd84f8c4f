// Retry delays: exponential growth with full jitter, so that a fleet that lost its registry does
// not reconnect in step.
#pragma once

#include "common/clock.hpp"
#include "common/random.hpp"

namespace notp::agent {

class Backoff {
 public:
  Backoff(TimeMs first_ms, TimeMs max_ms) : first_ms_(first_ms), max_ms_(max_ms) {}
  // Returns the milliseconds to wait before the next try: uniform in [0, min(max, first ·
  // 2^failures)], and at least what the registry asked for.
  TimeMs next(Random& random, TimeMs retry_after_ms);
  // The same without a failure: uniform in [0, min(max, ceiling)].
  TimeMs within(Random& random, TimeMs ceiling_ms) const;
  void reset() { failures_ = 0; }

 private:
  TimeMs first_ms_, max_ms_;
  int failures_ = 0;
};

}  // namespace notp::agent
