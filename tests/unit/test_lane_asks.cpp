// Which tokens a node asks its registry for, and how long answers count.
#include <doctest/doctest.h>

#include "tests/support/agent/lane_world.hpp"

namespace notp {
namespace {

using namespace lane_world;
using lane::AskOutcome;

TEST_CASE("a caller that asks for much leaves room for others, and gets it back with the answers") {
  lane::LaneAsks asks;
  int next = 0;
  const auto ask_many = [&](const std::string& caller) {
    int taken = 0;
    for (int i = 0; i < 2'000; ++i)
      taken += !asks.ask(token_id(++next), caller, true, 0).has_value() ? 1 : 0;
    return taken;
  };
  constexpr int kMax = limits::kLaneAsksOpenMax;
  CHECK(ask_many("greedy") == kMax / 2);
  CHECK(ask_many("other") == kMax / 4);
  CHECK(ask_many("third") == kMax / 8);
  // What another one waits for costs nothing.
  CHECK_FALSE(asks.ask(token_id(1), "late", true, 0).has_value());
  CHECK_FALSE(asks.ask(token_id(++next), "late", true, 0).has_value());
  CHECK(asks.open() == kMax / 2 + kMax / 4 + kMax / 8 + 1);

  const auto after = [&](auto&& event) {
    event();
    return ask_many("greedy");
  };
  CHECK(after([&] { asks.on_unknown(token_id(1), 0); }) == 0);
  CHECK(after([&] {
          for (int id = 2; id <= kMax / 2; ++id) asks.on_known(token_id(id), 1, 60'000);
        }) > 0);
  asks.on_deadline(limits::kLaneUnansweredMs);
  CHECK(asks.open() == 0);
  CHECK(ask_many("greedy") == kMax / 2);
  asks.on_disconnected();
  CHECK(ask_many("other") == kMax / 2);
}

TEST_CASE("an answer counts once the PDP has the newest of it") {
  lane::LaneAsks asks;
  const auto ask = [&] { return asks.ask(token_id(1), {}, true, 0); };
  CHECK_FALSE(ask().has_value());
  asks.on_known(token_id(1), 5, 60'000);
  asks.on_known(token_id(1), 7, 60'000);
  asks.on_decided(6);
  CHECK_FALSE(ask().has_value());
  asks.on_decided(7);
  CHECK(ask() == AskOutcome::kKnown);
}

TEST_CASE("a node holds at most 100,000 answers, those that end first go first") {
  lane::LaneAsks asks;
  for (size_t i = 0; i < limits::kLaneHeldMax; ++i)
    CHECK(asks.on_known(token_id(static_cast<int>(i)), i + 1, 60'000 + static_cast<TimeMs>(i))
              .empty());
  const auto evicted = asks.on_known(token_id(-1), limits::kLaneHeldMax + 1, 1);
  REQUIRE(evicted.size() == 1);
  CHECK(evicted[0] == token_id(0));
  CHECK(asks.held() == limits::kLaneHeldMax);
  for (size_t i = 0; i < limits::kLaneUnknownMax + 10; ++i) {
    const auto id = token_id(-10 - static_cast<int>(i));
    asks.ask(id, {}, true, 0);
    asks.on_unknown(id, 0);
  }
  CHECK(asks.open() == 0);
}

}  // namespace
}  // namespace notp
