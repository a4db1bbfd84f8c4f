// What the readers of a lane get: nodes that are cut, read too slowly and come back converge to
// what their grant sees of the store, in virtual time.
#include "common/random.hpp"
#include "tests/support/registry/fan_out_site.hpp"

namespace notp::lane {
namespace {

std::vector<Grant> two_grants() {
  return {grant("node/a*", {"pay", "shop"}, must(Attributes::parse({"aud"}))),
          grant("node/*", {}, Attributes::all())};
}

}  // namespace

TEST_CASE("a store that was put back is seen by a node that has more, and all begin anew") {
  Site site(two_grants());
  for (int i = 0; i < 30; ++i) site.add("before-" + std::to_string(i), "pay", 3'000);
  for (uint64_t number = 1; number <= 4; ++number) {
    site.nodes[number].identity = node(number == 1 ? "a1" : fmt::format("b{}", number));
    site.subscribe(number);
  }
  site.settle();
  site.cut(1);
  CHECK_FALSE(site.fan_out.take_ahead());
  // Node 2 has joined, 3 waits for a page, 4 reads slowly.
  site.subscribe(3);
  site.add("queued", "pay", 3'000);
  for (int i = 0; i < 60; ++i) site.add(std::string(500, 'x') + std::to_string(i), "pay", 3'000);
  site.pass(kGatherMsMax);
  while (!site.sessions[2].queue.empty()) site.read(2);

  // What node 1 had of the events after the state that the store was put back to.
  Node& ahead = site.nodes[1];
  ahead.at->revision = site.store.state().head + 7;
  ahead.put(Event::token(feed::token_id("lost"), {.exp_s = site.now_s() + 3'000}));
  site.subscribe(1);
  const auto found = site.fan_out.take_ahead();
  REQUIRE(found);
  CHECK(found->node == "node/a1");
  CHECK(found->revision == site.store.state().head + 7);
  const feed::TokenId renewed = feed::token_id("another instance");
  REQUIRE(site.store.set_instance(renewed));
  site.fan_out.restart(site.now);
  site.carry_out();
  site.add("after", "pay", 3'000);
  site.settle();
  for (auto& [number, one] : site.nodes) {
    CHECK(one.at->instance == renewed);
    CHECK(one.at->revision == site.store.state().head);
    CHECK(site.living(one) == site.expected(one));
  }
  CHECK(site.fan_out.counts().nodes == 4);
  // Nobody had to ask again.
  CHECK(site.lost == 0);
  site.remove("after");
  site.settle();
  CHECK(site.nodes[1].is_deleted(feed::token_id("after")));
}

TEST_CASE("a report of a revision that there is not says nothing") {
  Site site(two_grants());
  site.nodes[1].identity = node("a1");
  site.subscribe(1);
  site.fan_out.applied({1, 1}, {.revision = 1});
  CHECK(site.fan_out.counts().reported == 0);
  site.fan_out.applied({1, 1}, {.revision = 0});
  CHECK(site.fan_out.counts().reported == 1);
}

TEST_CASE("a new reader gets a snapshot, then batches; it sees what its grant says") {
  Site site(two_grants());
  site.add("one", "pay", 600);
  site.add("two", "other", 600);
  site.nodes[1].identity = node("a1");
  site.nodes[2].identity = node("b1");
  site.subscribe(1);
  site.subscribe(2);
  site.settle();
  CHECK(site.living(site.nodes[1]).size() == 1);
  CHECK(site.living(site.nodes[1]).begin()->second.sub.empty());
  CHECK(site.living(site.nodes[2]).size() == 2);
  CHECK(site.nodes[2].rows.at({EventKind::kToken, feed::token_id("one")}).record.sub == "s-one");
  CHECK(site.nodes[1].pages == 1);
  CHECK(site.sessions[1].told.front().code == 0);
  CHECK(site.sessions[1].told.front().grant != site.sessions[2].told.front().grant);

  // A token that leaves a grant's view vanishes there, and comes back with its audience.
  site.add("one", "other", 600);
  site.settle();
  CHECK(site.living(site.nodes[1]).empty());
  CHECK(site.living(site.nodes[2]).size() == 2);
  site.add("one", "shop", 600);
  site.settle();
  CHECK(site.living(site.nodes[1]).size() == 1);
}

TEST_CASE("what ends a token leaves at once, what lets one in waits for others") {
  Site site(two_grants());
  site.nodes[1].identity = node("b1");
  site.subscribe(1);
  site.settle();
  const auto queued = [&] { return site.sessions[1].queue.size(); };
  site.add("one", "pay", 600);
  site.add("two", "pay", 600);
  CHECK(queued() == 0);
  site.pass(kGatherMsMin);
  CHECK(queued() == 1);
  site.settle();
  site.add("three", "pay", 600);
  site.remove("one");
  CHECK(queued() == 1);  // both
  site.settle();
  CHECK(site.living(site.nodes[1]).size() == 2);
  CHECK(site.nodes[1].is_deleted(feed::token_id("one")));
  site.tell({.key = {},
             .what = Revoked{.kind = feed::MarkKind::kSubject,
                             .issuer = "https://i",
                             .value = "s",
                             .not_before_s = site.now_s()}});
  CHECK(queued() == 1);
  site.settle();
  // Nothing happens: a heartbeat says so.
  const uint64_t batches = site.nodes[1].batches;
  site.pass(limits::kLaneHeartbeatMs);
  site.settle();
  CHECK(site.nodes[1].batches == batches + 1);
  CHECK(site.nodes[1].at->revision == site.store.state().head);
}

TEST_CASE("at many nodes what ends tokens shares a batch while the one before is on its way") {
  Site site(two_grants());
  constexpr uint64_t kNodes = 100;
  constexpr TimeMs kWriting = kNodes / kWritesOfMs;
  for (uint64_t number = 1; number <= kNodes; ++number) {
    site.nodes[number].identity = node(fmt::format("b{}", number));
    site.subscribe(number);
  }
  site.settle();
  const auto queued = [&] { return site.sessions[1].queue.size(); };
  site.remove("one");
  CHECK(queued() == 1);
  for (const char* token : {"two", "three", "four"}) site.remove(token);
  CHECK(queued() == 1);
  site.pass(kWriting - 1);
  CHECK(queued() == 1);
  site.pass(1);
  CHECK(queued() == 2);
  site.settle();
  for (const char* token : {"one", "two", "three", "four"})
    CHECK(site.nodes[kNodes].is_deleted(feed::token_id(token)));
  // A pause later one leaves at once.
  site.pass(kWriting);
  site.remove("five");
  CHECK(queued() == 1);
}

TEST_CASE("a node that comes back goes on by revision, unless that is compacted") {
  Site site(two_grants());
  site.nodes[1].identity = node("b1");
  site.add("one", "pay", 3'000);
  site.subscribe(1);
  site.settle();
  site.cut(1);
  site.add("two", "pay", 3'000);
  site.subscribe(1);
  site.settle();
  CHECK(site.nodes[1].pages == 1);
  CHECK(site.living(site.nodes[1]).size() == 2);

  // Exactly at the compacted revision nothing is missing; one below it something may be.
  site.cut(1);
  site.remove("two");
  const uint64_t deleted_at = site.store.state().head;
  const Node before = site.nodes[1];
  CHECK(before.at->revision == deleted_at - 1);
  site.subscribe(1);
  site.settle();
  CHECK(site.nodes[1].at->revision == deleted_at);
  site.cut(1);
  site.pass((kLifeS + kHistoryS) * 1'000);
  site.sweep();
  CHECK(site.store.state().compacted == deleted_at);
  site.subscribe(1);
  site.settle();
  CHECK(site.nodes[1].pages == 1);
  site.cut(1);
  site.nodes[1] = before;
  site.subscribe(1);
  site.settle();
  CHECK(site.nodes[1].pages == 2);
  CHECK(site.living(site.nodes[1]) == site.expected(site.nodes[1]));

  // Of another history, or another grant.
  site.cut(1);
  site.nodes[1].at->instance = feed::token_id("another");
  site.subscribe(1);
  site.settle();
  CHECK(site.nodes[1].pages == 3);
}

TEST_CASE("a node without a grant is denied") {
  Site site({grant("node/a*", {}, Attributes::all())});
  site.nodes[1].identity = node("b1");
  site.subscribe(1);
  REQUIRE(site.sessions[1].told.size() == 1);
  CHECK(site.sessions[1].told[0].code == static_cast<uint32_t>(ErrorCode::kDenied));
  site.add("one", "pay", 600);
  site.settle();
  CHECK(site.nodes[1].batches + site.nodes[1].pages == 0);
}

TEST_CASE("a node that asks gets answers, revocations, and no tokens unasked") {
  Site site(two_grants());
  site.nodes[1].identity = node("a1");
  site.nodes[1].mode = wire::LaneMode::kAsk;
  site.add("one", "pay", 600);
  site.add("two", "other", 600);
  site.subscribe(1);
  site.settle();
  CHECK(site.living(site.nodes[1]).empty());
  const auto ask = [&](const std::string& token) {
    site.fan_out.ask({1, site.sessions[1].stream}, {feed::token_id(token)}, site.now);
    site.carry_out();
    const auto sealed = statement_of(site.sessions[1].queue.back().frame);
    REQUIRE(sealed.type == feed::StatementType::kAnswer);
    site.settle();
    return must(feed::Answer::decode(must(feed::open(sealed, key().public_key()))));
  };
  CHECK(ask("one").event->record.aud == std::vector<std::string>{"pay"});
  CHECK(!ask("two").event);    // not of its grant
  CHECK(!ask("three").event);  // not there
  site.remove("one");
  site.settle();
  CHECK(site.nodes[1].is_deleted(feed::token_id("one")));
  CHECK(ask("one").event->kind == EventKind::kDeleted);
}

TEST_CASE("a node that reads too slowly goes on where it stopped, in parts that it takes") {
  Site site(two_grants(), 900);  // two or three batches
  site.nodes[1].identity = node("b1");
  site.nodes[2].identity = node("b2");
  site.subscribe(1);
  site.subscribe(2);
  site.settle();
  const auto read_all_of_1 = [&] {
    while (!site.sessions[1].queue.empty()) site.read(1);
  };
  for (int i = 0; i < 12; ++i) {
    site.remove(fmt::format("t{}", i));
    read_all_of_1();
  }
  CHECK(site.slow == 1);
  CHECK(site.sessions[2].told.back().too_slow);
  // It catches up in parts that its session holds.
  site.read(2);
  CHECK(!site.sessions[2].queue.empty());
  site.remove("last");
  site.settle();
  CHECK(site.lost == 0);
  CHECK(site.nodes[2].pages == 1);
  CHECK(site.nodes[2].at->revision == site.store.state().head);
  CHECK(site.nodes[2].rows.size() == site.nodes[1].rows.size());
  CHECK(site.slow == 1);
  CHECK(!site.sessions[2].told.back().too_slow);
}

TEST_CASE("nodes that are cut, slow, and away for long converge; what is revoked is nowhere") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    // Peers that read little of what they get.
    const bool is_slow = seed % 2 == 0;
    Site site(two_grants(), is_slow ? 1'000 : 4'000);
    for (uint64_t number = 1; number <= 4; ++number) {
      site.nodes[number].identity = node(fmt::format("{}{}", number % 2 == 0 ? "a" : "b", number));
      site.nodes[number].mode = number == 4 ? wire::LaneMode::kAsk : wire::LaneMode::kPush;
    }
    const char* const audiences[] = {"pay", "shop", "other"};
    std::map<std::string, int> removed;
    for (int step = 0; step < 400; ++step) {
      const std::string token = fmt::format("t{}", random.below(40));
      const uint64_t number = 1 + random.below(4);
      switch (random.below(12)) {
        case 0:
        case 1:
        case 2:
          site.add(token, audiences[random.below(3)],
                   60 + static_cast<int64_t>(random.below(3'000)));
          break;
        case 3:
          if (is_slow) site.pass(kGatherMsMin);
          if (random.below(3) == 0) site.remove(token);
          break;
        case 4:
          site.subscribe(number);
          break;
        case 5:
          if (random.below(2) == 0) site.cut(number);
          break;
        case 6:
          site.pass(static_cast<TimeMs>(random.below(200)));
          break;
        case 7:
          if (random.below(4) == 0) site.pass(static_cast<TimeMs>(random.below(3'000'000)));
          break;
        case 8:
          site.sweep();
          break;
        case 9:
          site.work();
          break;
        default:
          if (!is_slow || random.below(3) == 0) site.read(number);
          break;
      }
    }
    for (uint64_t number = 1; number <= 4; ++number)
      if (!site.sessions[number].is_open) site.subscribe(number);
    site.settle();
    site.pass(limits::kLaneHeartbeatMs);
    site.settle();
    for (auto& [number, one] : site.nodes) {
      CAPTURE(number);
      CHECK(site.living(one) == site.expected(one));
      CHECK(one.at->revision == site.store.state().head);
      CHECK(!one.in_snapshot);
      for (const Row& row : must(site.store.range({}, 100'000, SIZE_MAX)).rows)
        if (row.event.kind != EventKind::kToken) CHECK(one.rows.contains(key_of(row.event)));
    }
    // Nothing was left out on the way: no node had to say where it is again.
    CHECK(site.lost == 0);
  }
}

}  // namespace notp::lane
