// Which tokens a node asks its registry for, and how long answers count.
#include <doctest/doctest.h>

#include "tests/support/agent/lane_world.hpp"

namespace notp {
namespace {

using namespace lane_world;
using lane::AskOutcome;
using lane::LaneMode;

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

TEST_CASE("an answer is not given before decisions use it") {
  Following world(LaneMode::kAsk);
  Node& node = world.node;
  node.decides = false;
  node.core->ask(token_id(1), node.now);
  node.run();
  node.settle();
  CHECK(node.resolved.empty());
  node.core->ask(token_id(1), node.now);
  node.run();
  CHECK(node.resolved.empty());
  node.decides = true;
  node.run();
  CHECK(node.resolved.size() == 1);
}

TEST_CASE("a negative answer counts for 5 s, an expired token is unknown, a deleted one is known") {
  Following world(LaneMode::kAsk);
  Node& node = world.node;
  const auto ask = [&](int number) {
    node.resolved.clear();
    node.advance(1);
    node.core->ask(token_id(number), node.now);
    node.run();
    node.settle();
    REQUIRE(node.resolved.size() == 1);
    return node.resolved[0].second;
  };
  CHECK(ask(77) == AskOutcome::kUnknown);
  world.registry.add(alive(77));
  node.settle();
  CHECK(ask(77) == AskOutcome::kUnknown);
  CHECK(node.asked.size() == 1);
  node.advance(limits::kLaneUnknownMs - 2);
  CHECK(ask(77) == AskOutcome::kKnown);
  CHECK(ask(3) == AskOutcome::kKnown);
  CHECK_FALSE(node.is_accepted(3));
  world.registry.add(alive(78, kStartS + 1));
  node.advance(2'000);
  CHECK(ask(78) == AskOutcome::kUnknown);
}

TEST_CASE("asks are gathered, bounded, and do not wait for a registry that is not there") {
  Following world(LaneMode::kAsk);
  Node& node = world.node;
  node.heartbeats = false;
  for (int i = 0; i < 2'000; ++i) node.core->ask(token_id(10'000 + i), node.now);
  node.core->take_effects();
  CHECK(node.core->asks().open() == limits::kLaneAsksOpenMax / 2);
  node.advance(20);
  for (const size_t ids : node.asked) CHECK(ids <= limits::kLaneAskIdsMax);
  node.feed->out.clear();
  node.resolved.clear();

  node.core->ask(token_id(99), node.now);
  node.run();
  node.cut();
  CHECK(node.core->asks().open() == 0);
  node.resolved.clear();
  node.core->ask(token_id(98), node.now);
  node.run();
  REQUIRE(node.resolved.size() == 1);
  CHECK(node.resolved[0].second == AskOutcome::kNotAsked);
}

TEST_CASE("an unanswered ask ends, and may be made again") {
  Following world(LaneMode::kAsk);
  Node& node = world.node;
  node.feed.reset();  // the frames go nowhere
  node.core->ask(token_id(1), node.now);
  node.run();
  node.advance(limits::kLaneUnansweredMs);
  REQUIRE(node.resolved.size() == 1);
  CHECK(node.resolved[0].second == AskOutcome::kNotAsked);
  node.core->ask(token_id(1), node.now);
  node.run();
  CHECK(node.asked.size() == 2);
}

}  // namespace
}  // namespace notp
