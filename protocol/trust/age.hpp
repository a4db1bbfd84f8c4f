// Computes how long ago a registry confirmed a node's release, and the consequences. Pure: time is
// an argument, and comes from a TrustedClock.
#pragma once

#include <algorithm>
#include <string_view>

#include "common/clock.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::trust {

enum class FreshnessState : uint8_t {
  kUntracked = 0,  // the domain signs no freshness: the age of a copy is unknown
  kFresh = 1,      // age at most fresh_s
  kStale = 2,      // age at most hard_s: decisions continue, marked
  kExpired = 3,    // older, or withdrawn: on_hard of the release governs decisions
};

// "untracked", "fresh", "stale", "expired": for policies, logs, metrics and tables.
std::string_view freshness_state_name(FreshnessState state);

// A publisher's terms for operation without a registry.
struct FreshnessTerms {
  uint64_t fresh_s = 0;
  uint64_t hard_s = 0;
  OnHard on_hard = OnHard::kDeny;
  auto operator<=>(const FreshnessTerms&) const = default;
};

struct Age {
  FreshnessState state = FreshnessState::kUntracked;
  TimeMs age_ms = 0;
  TimeMs next_change_ms = kNever;  // time of the next state, if no statement comes until then
};

// Returns the age of a release that was last known to be the newest at `vouched_ms`. An age of
// exactly fresh_s is still FRESH, of exactly hard_s still STALE; the next millisecond is not.
Age age_of(const FreshnessTerms& terms, TimeMs vouched_ms, TimeMs now_ms);

// The status of one release of a node at an instant, as reported to policies, people and the
// registry.
struct FreshnessStatus {
  FreshnessState state = FreshnessState::kUntracked;
  bool withdrawn = false;
  TimeMs vouched_ms = 0;  // when it was last known to be the newest; 0: never
  FreshnessTerms terms;
  bool withheld = false;  // a ledger that it uses is missing, or it does not compile with it

  // Whether decisions with this release must be denied.
  bool denies() const {
    return withheld || (state == FreshnessState::kExpired && terms.on_hard == OnHard::kDeny);
  }
  // Returns the seconds since the registry last confirmed it, at that trusted time; -1: never.
  int64_t age_s(TimeMs trusted_ms) const {
    return vouched_ms == 0 ? -1 : std::max<TimeMs>(0, trusted_ms - vouched_ms) / 1000;
  }
  bool operator==(const FreshnessStatus&) const = default;
};

// Whether the status that a policy has of a ledger is out of date. A policy that guards against an
// agent that stopped compares vouched_ms + hard_s with the clock, so a newer vouched_ms alone is
// passed on as well, though not often: each time may cost a PDP a whole bundle.
bool needs_reactivation(const FreshnessStatus& reported, const FreshnessStatus& now);

// Time marks that have to be persisted.
struct ClockMarks {
  // The latest trusted time ever seen. A clock that was once far ahead leaves it too high.
  TimeMs wall_ms = 0;
  // The latest `issued_ms` of any statement that was verified here; never falls.
  TimeMs signed_ms = 0;
  bool operator==(const ClockMarks&) const = default;
};

// A clock that never goes back: the latest of the wall clock, of the wall clock at the start
// advanced by the boot clock, and of the persisted mark. Setting a clock back revives nothing. Only
// set_back() lowers it, for a caller that can prove that it is too high.
class TrustedClock {
 public:
  TrustedClock(TimeMs high_water_ms, Now start);
  // Returns Unix time in milliseconds; never below an earlier answer.
  TimeMs now_ms(Now now);
  // Returns the boot-clock time at which trusted time will be `at_ms`, if the wall clock does not
  // jump.
  TimeMs boot_deadline_ms(TimeMs at_ms, Now now);
  TimeMs high_water_ms() const { return latest_ms_; }
  // Continues from `at_ms`, or from the wall clock where that is later.
  void set_back(TimeMs at_ms, Now now);

 private:
  TimeMs latest_ms_;
  TimeMs latest_boot_ms_;  // boot clock at latest_ms_
};

}  // namespace notp::trust
