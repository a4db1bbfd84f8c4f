#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "protocol/trust/age.hpp"

namespace {

using namespace notp;

constexpr TimeMs kStart = 1'700'000'000'000;
constexpr trust::FreshnessTerms kTerms{60, 3600, trust::OnHard::kDeny};

}  // namespace

TEST_CASE("age: fresh, stale and expired, to the millisecond") {
  struct Row {
    TimeMs age_ms;
    trust::FreshnessState state;
    TimeMs next_ms;  // after the start
  };
  const Row rows[] = {
      {0, trust::FreshnessState::kFresh, 60'001},
      {59'999, trust::FreshnessState::kFresh, 60'001},
      {60'000, trust::FreshnessState::kFresh, 60'001},
      {60'001, trust::FreshnessState::kStale, 3'600'001},
      {3'600'000, trust::FreshnessState::kStale, 3'600'001},
      {3'600'001, trust::FreshnessState::kExpired, 0},
      {315'360'000'000, trust::FreshnessState::kExpired, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.age_ms);
    const trust::Age age = trust::age_of(kTerms, kStart, kStart + row.age_ms);
    CHECK(age.state == row.state);
    CHECK(age.age_ms == row.age_ms);
    CHECK(age.next_change_ms == (row.next_ms == 0 ? kNever : kStart + row.next_ms));
    // The promise holds: nothing changes until then, and something does then.
    if (row.next_ms == 0) continue;
    CHECK(trust::age_of(kTerms, kStart, age.next_change_ms - 1).state == row.state);
    CHECK(trust::age_of(kTerms, kStart, age.next_change_ms).state != row.state);
  }
}

TEST_CASE("age: terms and times at the edges") {
  CHECK(trust::age_of({60, 60, trust::OnHard::kDeny}, kStart, kStart + 60'000).state ==
        trust::FreshnessState::kFresh);
  CHECK(trust::age_of({60, 60, trust::OnHard::kDeny}, kStart, kStart + 60'001).state ==
        trust::FreshnessState::kExpired);
  CHECK(trust::age_of({60, 60, trust::OnHard::kDeny}, kStart, kStart).next_change_ms ==
        kStart + 60'001);
  // Attested by a clock ahead of this one: age 0, and not negative.
  CHECK(trust::age_of(kTerms, kStart + 1, kStart).age_ms == 0);
  CHECK(trust::age_of(kTerms, 0, kStart).state == trust::FreshnessState::kExpired);
  const trust::FreshnessTerms endless{UINT64_MAX, UINT64_MAX, trust::OnHard::kServe};
  CHECK(trust::age_of(endless, kStart, kStart).state == trust::FreshnessState::kFresh);
  CHECK(trust::age_of(endless, INT64_MAX, INT64_MAX).age_ms == 0);
  CHECK(trust::age_of(endless, INT64_MIN, INT64_MAX).state == trust::FreshnessState::kExpired);
}

TEST_CASE("freshness: only an expired release whose publisher said deny stops decisions") {
  for (const trust::OnHard on_hard : {trust::OnHard::kDeny, trust::OnHard::kServe})
    for (const trust::FreshnessState state :
         {trust::FreshnessState::kUntracked, trust::FreshnessState::kFresh,
          trust::FreshnessState::kStale, trust::FreshnessState::kExpired}) {
      const trust::FreshnessStatus freshness_status{state, false, kStart, {60, 3600, on_hard}};
      CHECK(freshness_status.denies() ==
            (state == trust::FreshnessState::kExpired && on_hard == trust::OnHard::kDeny));
    }
  CHECK(trust::freshness_state_name(trust::FreshnessState::kUntracked) == "untracked");
  CHECK(trust::freshness_state_name(trust::FreshnessState::kFresh) == "fresh");
  CHECK(trust::freshness_state_name(trust::FreshnessState::kStale) == "stale");
  CHECK(trust::freshness_state_name(trust::FreshnessState::kExpired) == "expired");
}

TEST_CASE("trusted clock: a wall clock that is set back does not turn time back") {
  trust::TrustedClock clock(0, {kStart, 1000});
  CHECK(clock.now_ms({kStart + 5000, 6000}) == kStart + 5000);
  CHECK(clock.now_ms({kStart - 86'400'000, 7000}) == kStart + 6000);
  CHECK(clock.now_ms({0, 8000}) == kStart + 7000);
  CHECK(clock.high_water_ms() == kStart + 7000);
  // The wall clock is correct again, and behind: time advances by the boot clock.
  CHECK(clock.now_ms({kStart + 6500, 8500}) == kStart + 7500);
  CHECK(clock.now_ms({kStart + 9000, 9000}) == kStart + 9000);
}

TEST_CASE("trusted clock: a wall clock that jumps ahead is believed, and stays believed") {
  trust::TrustedClock clock(0, {kStart, 1000});
  constexpr TimeMs kTenYears = 315'360'000'000;
  CHECK(clock.now_ms({kStart + kTenYears, 2000}) == kStart + kTenYears);
  CHECK(clock.now_ms({kStart + 2000, 3000}) == kStart + kTenYears + 1000);
}

TEST_CASE("trusted clock: the boot clock counts the hours in which the machine slept") {
  trust::TrustedClock clock(0, {kStart, 1000});
  // An RTC that stopped during the sleep, and is never corrected.
  CHECK(clock.now_ms({kStart + 10, 1000 + 7'200'000}) == kStart + 7'200'000);
}

TEST_CASE("trusted clock: after a restart the kept mark counts, however the clocks stand") {
  trust::TrustedClock clock(kStart, {kStart - 86'400'000, 50});
  CHECK(clock.now_ms({kStart - 86'400'000, 50}) == kStart);
  CHECK(clock.now_ms({kStart - 86'399'000, 1050}) == kStart + 1000);
  trust::TrustedClock ahead(kStart, {kStart + 777, 50});
  CHECK(ahead.high_water_ms() == kStart + 777);
}

TEST_CASE("trusted clock: never below an earlier answer, whatever the clocks do") {
  trust::TrustedClock clock(kStart, {kStart, 0});
  TimeMs last = clock.high_water_ms();
  const Now readings[] = {{kStart, 10},           {0, 10},  {-5, 9},          {INT64_MIN, 11},
                          {kStart + 100, 12},     {1, 0},   {kStart, 200},    {kStart + 50, 201},
                          {kStart + 10'000, 202}, {0, 203}, {INT64_MAX, 204}, {kStart, 205}};
  for (const Now& reading : readings) {
    const TimeMs now_ms = clock.now_ms(reading);
    CHECK(now_ms >= last);
    last = now_ms;
  }
  CHECK(last <= limits::kTimestampMsMax);
}

TEST_CASE("trusted clock: when on the boot clock an instant will have come") {
  trust::TrustedClock clock(0, {kStart, 1000});
  CHECK(clock.boot_deadline_ms(kStart + 60'001, {kStart, 1000}) == 61'001);
  CHECK(clock.boot_deadline_ms(kStart + 60'001, {kStart - 9999, 31'000}) == 61'001);
  CHECK(clock.boot_deadline_ms(kStart, {kStart, 31'000}) == 31'000);
  CHECK(clock.boot_deadline_ms(kNever, {kStart, 31'000}) == kNever);
  const TimeMs deadline = clock.boot_deadline_ms(kStart + 90'000, {kStart, 32'000});
  CHECK(clock.now_ms({0, deadline - 1}) < kStart + 90'000);
  CHECK(clock.now_ms({0, deadline}) == kStart + 90'000);
}
