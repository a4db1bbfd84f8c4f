// Tracks what changes with time: the freshness of the active releases, the root's expiry, and when
// trusted time has to be stored. Pure. One thread.
#pragma once

#include <algorithm>

#include "notp-client/agent/core/core_parts.hpp"
#include "protocol/trust/root_expiry.hpp"

namespace notp::agent {

class FreshnessWatch {
 public:
  // Everything that `parts` names outlives this object. Trusted time is stored at once.
  FreshnessWatch(CoreParts parts, TimeMs boot_ms);

  // Yields and reports what time has changed since the last call. `wanted` holds the releases that
  // the PDP should decide with.
  void refresh(const Picks& wanted);
  // Yields a KeepTime when it is due.
  void keep_time_if_due(TimeMs boot_ms);
  // Trusted time is being stored together with another change.
  void on_time_kept(TimeMs boot_ms);

  // Boot clock: when refresh() or keep_time_if_due() is due.
  TimeMs next_deadline() const { return std::min(next_check_ms_, keep_time_ms_); }

 private:
  // These return the next time to check, in trusted time.
  TimeMs refresh_active(const model::LedgerId& ledger);
  TimeMs refresh_root();

  const CoreParts parts_;
  trust::RootExpiry reported_expiry_ = trust::RootExpiry::kFar;
  TimeMs next_check_ms_ = kNever;  // boot clock
  TimeMs keep_time_ms_;            // boot clock
};

}  // namespace notp::agent
