// Logs that the registry's root is about to expire, once for each step towards expiry.
#pragma once

#include <cstdint>

#include "protocol/trust/root_expiry.hpp"

namespace notp::trust {

// One thread.
class RootExpiryLog {
 public:
  // Logs `root_expiry` when the step changed: warn from kRootExpirySoonMs before the end, error
  // from kRootExpiryUrgentMs before it and after it, info when a newer root resolved it. Returns
  // whether it logged. Call it at start, at next_root_expiry_ms(), and whenever the clock was set
  // or the root may have changed.
  bool look(const Root& root, TimeMs now_ms);

 private:
  RootExpiry said_ = RootExpiry::kFar;
  uint64_t version_ = 0;  // of the root last logged
};

}  // namespace notp::trust
