// When an agent dials its registry.
#include <doctest/doctest.h>

#include <algorithm>

#include "notp-client/agent/core/dial_plan.hpp"

namespace notp {
namespace {

TEST_CASE("a dial plan dials at once, and not again before it has an answer") {
  SeededRandom random(1);
  agent::DialPlan plan(100, 1'000, random, 50);
  CHECK(plan.next_deadline() == 50);
  CHECK_FALSE(plan.start_if_due(49));
  CHECK(plan.start_if_due(50));
  CHECK_FALSE(plan.start_if_due(60));
  CHECK(plan.next_deadline() == kNever);
  plan.on_connect_failed(Error{ErrorCode::kUnavailable, "refused", {}},
                         agent::DialFailure::kPortClosed, 70);
  CHECK(plan.last_error() == "refused");
  CHECK(plan.next_deadline() >= 70);
  CHECK(plan.next_deadline() <= 170);
}

TEST_CASE("a dial plan waits as long as the registry asks") {
  SeededRandom random(1);
  agent::DialPlan plan(100, 1'000, random, 0);
  CHECK(plan.start_if_due(0));
  plan.on_connected();
  plan.on_welcomed();
  plan.on_closed(Error{ErrorCode::kOverloaded, "full", {}}, 30'000);
  plan.on_disconnected(nullptr, 10);
  CHECK(plan.next_deadline() >= 30'010);
  CHECK(plan.last_error() == "full");
}

TEST_CASE("a closed port is dialled again within a second, for a minute after a session") {
  SeededRandom random(1);
  agent::DialPlan plan(100, 60'000, random, 0);
  const Error refused{ErrorCode::kUnavailable, "refused", {}};
  CHECK(plan.start_if_due(0));
  plan.on_connected();
  plan.on_welcomed();
  plan.on_disconnected(nullptr, 0);
  TimeMs boot_ms = 0, longest_ms = 0;
  const auto fails = [&](agent::DialFailure failure) {
    boot_ms = plan.next_deadline();
    REQUIRE(plan.start_if_due(boot_ms));
    plan.on_connect_failed(refused, failure, boot_ms);
    longest_ms = std::max(longest_ms, plan.next_deadline() - boot_ms);
  };
  while (plan.next_deadline() < agent::kClosedPortForMs) fails(agent::DialFailure::kPortClosed);
  CHECK(longest_ms > agent::kClosedPortWaitMs / 2);
  CHECK(longest_ms <= agent::kClosedPortWaitMs);
  for (int i = 0; i < 20; ++i) fails(agent::DialFailure::kPortClosed);
  CHECK(longest_ms > 10 * agent::kClosedPortWaitMs);
}

TEST_CASE("what is not a closed port, and a registry that is not trusted, is dialled less often") {
  const auto longest = [](agent::DialFailure failure, bool is_rejected) {
    SeededRandom random(1);
    agent::DialPlan plan(100, 60'000, random, 0);
    CHECK(plan.start_if_due(0));
    plan.on_connected();
    plan.on_welcomed();
    if (is_rejected) plan.reject_registry();
    plan.on_disconnected(nullptr, 0);
    TimeMs longest_ms = 0;
    for (int i = 0; i < 12; ++i) {
      const TimeMs boot_ms = plan.next_deadline();
      REQUIRE(plan.start_if_due(boot_ms));
      plan.on_connect_failed(Error{ErrorCode::kUnavailable, "no route", {}}, failure, boot_ms);
      longest_ms = std::max(longest_ms, plan.next_deadline() - boot_ms);
    }
    return longest_ms;
  };
  CHECK(longest(agent::DialFailure::kPortClosed, false) <= agent::kClosedPortWaitMs);
  CHECK(longest(agent::DialFailure::kOther, false) > agent::kClosedPortWaitMs);
  CHECK(longest(agent::DialFailure::kPortClosed, true) > agent::kClosedPortWaitMs);
}

TEST_CASE("a rejected registry is asked less and less often, whatever it welcomes") {
  SeededRandom random(1);
  agent::DialPlan plan(1, 1 << 20, random, 0);
  TimeMs boot_ms = 0, longest_ms = 0;
  const auto session = [&](bool is_rejected) {
    boot_ms = plan.next_deadline();
    REQUIRE(plan.start_if_due(boot_ms));
    plan.on_connected();
    CHECK_FALSE(plan.is_rejected());
    plan.on_welcomed();
    if (is_rejected) plan.reject_registry();
    plan.on_disconnected(nullptr, boot_ms);
    longest_ms = std::max(longest_ms, plan.next_deadline() - boot_ms);
  };
  for (int i = 0; i < 20; ++i) session(/*is_rejected=*/true);
  CHECK(longest_ms > 1'000);
  plan.mark_trusted();
  session(/*is_rejected=*/false);
  CHECK(plan.next_deadline() - boot_ms <= 1);
}

}  // namespace
}  // namespace notp
