// What one peer can cause at the lane that its session follows.
#include <doctest/doctest.h>

#include "protocol/feed/feed_limits.hpp"
#include "protocol/serve/session_lane.hpp"
#include "tests/support/registry/served_session.hpp"

namespace notp::serve {
namespace {

namespace event = session::server_event;

// Counts what reaches the lane.
struct CountingFeed final : LaneFeed {
  size_t subscriptions = 0, asked = 0, reports = 0;

  void subscribe(LaneReader, const session::Identity&, wire::LaneSubscribe) override {
    ++subscriptions;
  }
  void fell_behind(LaneReader, uint64_t) override {}
  void drained(LaneReader) override {}
  void ask(LaneReader, std::vector<feed::TokenId> ids) override { asked += ids.size(); }
  void applied(LaneReader, const wire::LaneApplied&) override { ++reports; }
  void closed(uint64_t) override {}
};

}  // namespace

TEST_CASE("reports and questions of one peer reach the lane at a rate, however fast they come") {
  session::Served served;
  served.subscribe({});
  LaneReaders readers;
  CountingFeed feed;
  SessionLane lane(&feed);
  lane.begin(
      {.session = &served.session, .readers = &readers, .number = 1, .identity = {}, .wake = [] {
       }});
  Now now = session::kStart;
  event::LaneSubscribed subscribed{{.lane = "login"}};
  lane.take(subscribed, now);
  CHECK(feed.subscriptions == 1);

  constexpr size_t kMany = 10'000;
  for (size_t i = 0; i < kMany; ++i) {
    event::LaneAppliedArrived applied{{.revision = i + 1}};
    lane.take(applied, now);
    event::LaneAsked asked{{{feed::token_id("one")}}};
    lane.take(asked, now);
  }
  CHECK(feed.reports <= 64);
  CHECK(feed.asked <= limits::kLaneAsksOpenMax);

  // A node that reports as it should is always heard.
  const size_t before = feed.reports;
  for (int i = 0; i < 100; ++i) {
    now.boot_ms += limits::kLaneAppliedMs;
    event::LaneAppliedArrived applied{{.revision = 1}};
    lane.take(applied, now);
  }
  CHECK(feed.reports == before + 100);
  lane.end();
}

}  // namespace notp::serve
