// Says in the registry's log that the root is about to expire, once for each step towards it.
#pragma once

#include <cstdint>

#include "protocol/trust/root_expiry.hpp"

namespace notp {

// One thread.
class RootExpiryLog {
 public:
  // Logs `root_expiry` when there is something new to say: warn from kRootExpirySoonMs before the
  // end, error from kRootExpiryUrgentMs before it and after it, info when a newer root ended that.
  // Whether it did. Call it at start, at next_root_expiry_ms(), and whenever the clock was set or
  // the root may be another one.
  bool look(const Root& root, TimeMs now_ms);

 private:
  RootExpiry said_ = RootExpiry::kFar;
  uint64_t version_ = 0;  // of the root that it was said of
};

}  // namespace notp
