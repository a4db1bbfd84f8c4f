// The rules of a lane's intake, and that the file and the memory keep the same.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>

#include "common/random.hpp"
#include "common/storage/files.hpp"
#include "notp-server/lane/intake_rules.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane/memory_event_store.hpp"
#include "notp-server/lane/sqlite_event_store.hpp"
#include "notp-server/lane/sweep_clock.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::lane {
namespace {

using feed::Event;
using feed::EventKey;
using feed::EventKind;

constexpr int64_t kNowS = 1'800'000'000;
constexpr int64_t kLifeS = 7'200;

template <typename T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return *std::move(result);
}

// A lane in memory, and its rules.
struct Lane {
  MemoryEventStore store{feed::token_id("instance")};
  IntakeRules rules{{.life_max_s = kLifeS,
                     .attributes = must(Attributes::parse({"aud", "client", "sub", "amr"})),
                     .tokens_max = 3}};
  int64_t now_s = kNowS;

  Ruling tell(IncomingEvent event, const std::string& source = "test") {
    REQUIRE(store.begin());
    Ruling ruling = must(rules.apply(source, event, now_s, store));
    REQUIRE(store.commit());
    return ruling;
  }
  Ruling add(const std::string& token, json::object attributes, std::string event_key = {}) {
    return tell({std::move(event_key), TokenAdded{feed::token_id(token), std::move(attributes)}});
  }
  Ruling remove(const std::string& token, int64_t exp_s = 0) {
    return tell({{}, TokenDeleted{feed::token_id(token), exp_s}});
  }
  Ruling revoke(int64_t not_before_s, const std::string& value = "alice") {
    return tell({{}, Revoked{feed::MarkKind::kSubject, "https://i", value, not_before_s}});
  }
  std::optional<Row> find(EventKind kind, const std::string& token) {
    return must(store.find({kind, feed::token_id(token)}));
  }
  size_t sweep() {
    REQUIRE(store.begin());
    const size_t removed = must(store.remove_ended(now_s, 100));
    REQUIRE(store.commit());
    return removed;
  }
};

}  // namespace

TEST_CASE("attributes that are not on the list of a lane are not kept") {
  Lane lane;
  lane.add("one", {{"client_id", "shop"},
                   {"aud", "pay"},
                   {"sub", "alice"},
                   {"amr", {"pwd", "otp"}},
                   {"email", "alice@example.org"},
                   {"iss", "https://i"},
                   {"exp", kNowS + 60}});
  const feed::TokenRecord record = lane.find(EventKind::kToken, "one")->event.record;
  CHECK(record == feed::TokenRecord{.sub = "alice",
                                    .client = "shop",
                                    .aud = {"pay"},
                                    .exp_s = kNowS + 60,
                                    .amr = {"pwd", "otp"}});
  CHECK(lane.add("two", {{"exp", "soon"}}).refused->code == ErrorCode::kMessage);
  CHECK(lane.add("two", {{"exp", kNowS + kLifeS + 3'600}}).refused->code == ErrorCode::kMessage);
  CHECK(lane.add("two", {{"exp", kNowS + 60}, {"aud", 7}}).refused->code == ErrorCode::kMessage);
  // Without exp it lives as long as any token of the lane may.
  lane.add("two", {});
  CHECK(lane.find(EventKind::kToken, "two")->event.record.exp_s == kNowS + kLifeS);
}

TEST_CASE("a delete wins over an add, whichever comes first") {
  Lane lane;
  lane.remove("one");
  CHECK(!lane.add("one", {{"exp", kNowS + 60}}).row);
  CHECK(!lane.find(EventKind::kToken, "one"));
  lane.add("two", {{"exp", kNowS + 60}});
  CHECK(lane.remove("two").row);
  CHECK(!lane.find(EventKind::kToken, "two"));
  CHECK(!lane.add("two", {{"exp", kNowS + 60}}).row);
  CHECK(lane.store.state().tokens == 0);
  CHECK(lane.store.state().deleted == 2);
  // The tombstone outlives the token, and stands for an hour at least.
  const int64_t until_s = lane.find(EventKind::kDeleted, "two")->event.until_s;
  CHECK(until_s == kNowS + kHistoryS);
  CHECK(lane.find(EventKind::kDeleted, "one")->event.until_s == kNowS + kLifeS + kEndSkewS);
  // A later word about its end counts if it is later.
  CHECK(!lane.remove("two", kNowS + 60).row);
  CHECK(lane.remove("two", kNowS + kHistoryS + 600).row);
  CHECK(lane.find(EventKind::kDeleted, "two")->event.until_s ==
        kNowS + kHistoryS + 600 + kEndSkewS);
  lane.now_s = kNowS + kHistoryS + 600 + kEndSkewS - 1;
  CHECK(lane.sweep() == 0);
  lane.now_s += 1;
  CHECK(lane.sweep() == 1);
}

TEST_CASE("events are taken once, adds are refused when the lane is full, deletes never") {
  Lane lane;
  CHECK(lane.add("one", {{"exp", kNowS + 60}}, "k1").row);
  CHECK(lane.store.state().head == 1);
  CHECK(!lane.add("one", {{"exp", kNowS + 90}}, "k1").row);
  // The same again tells nothing new.
  CHECK(!lane.add("one", {{"exp", kNowS + 60}}, "k2").row);
  CHECK(lane.store.state().head == 1);
  lane.add("two", {{"exp", kNowS + 60}});
  lane.add("three", {{"exp", kNowS + 60}});
  CHECK(lane.add("four", {{"exp", kNowS + 60}}, "k4").refused->code == ErrorCode::kLimit);
  CHECK(lane.add("one", {{"exp", kNowS + 120}}).row);
  CHECK(lane.remove("five").row);
  lane.remove("two");
  CHECK(lane.add("four", {{"exp", kNowS + 60}}, "k4").row);
}

TEST_CASE("a mark never moves back, and none locks out what is issued later") {
  Lane lane;
  CHECK(lane.revoke(kNowS + 61).refused->code == ErrorCode::kMessage);
  CHECK(lane.revoke(kNowS + 60).row->event.not_before_s == kNowS + 60);
  CHECK(!lane.revoke(kNowS - 10).row);
  CHECK(!lane.revoke(kNowS + 60).row);
  // Nor does a time of none: a subject goes on, a session does not.
  CHECK(lane.revoke(feed::kAnyIssueTime).refused->code == ErrorCode::kMessage);
  const auto end = [&](int64_t not_before_s) {
    return lane.tell({{}, Revoked{feed::MarkKind::kSession, "https://i", "s", not_before_s}});
  };
  CHECK(end(feed::kAnyIssueTime).row->event.not_before_s == feed::kAnyIssueTime);
  CHECK(!end(kNowS + 60).refused);
  const feed::TokenId session = feed::mark_key(feed::MarkKind::kSession, "https://i", "s");
  CHECK(must(lane.store.find({EventKind::kMark, session}))->event.not_before_s ==
        feed::kAnyIssueTime);
  // Tokens that were issued so long ago have ended.
  CHECK(!lane.revoke(kNowS - kLifeS - kEndSkewS, "bob").row);
  CHECK(lane.revoke(kNowS - kLifeS, "bob").row);
}

TEST_CASE("a row that goes moves the compacted revision, but for tokens that came once and ended") {
  Lane lane;
  lane.add("one", {{"exp", kNowS + 60}});
  lane.now_s = kNowS + 60 + kEndSkewS;
  CHECK(lane.sweep() == 1);
  CHECK(lane.store.state().compacted == 0);
  lane.now_s = kNowS;
  lane.add("two", {{"exp", kNowS + 600}});
  const uint64_t replaced = lane.add("two", {{"exp", kNowS + 60}}).row->revision;
  lane.add("three", {{"exp", kNowS + 60}});
  // The longer life of the two counts, and an hour.
  lane.now_s = kNowS + kHistoryS - 1;
  CHECK(lane.sweep() == 1);
  CHECK(lane.store.state().compacted == 0);
  lane.now_s = kNowS + kHistoryS;
  CHECK(lane.sweep() == 1);
  CHECK(lane.store.state().compacted == replaced);
}

TEST_CASE(
    "the file keeps what the memory keeps: rows, order, boundaries, after rolling back and opening "
    "again") {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    SeededRandom random(seed);
    const TemporaryFolder folder;
    const auto file = folder.path() / "lane.db";
    auto stored = must(SqliteEventStore::open(file, random));
    MemoryEventStore memory(stored->state().instance);
    const IntakeRules rules(
        {.life_max_s = kLifeS, .attributes = Attributes::all(), .tokens_max = 20});
    int64_t now_s = kNowS;
    for (int step = 0; step < 150; ++step) {
      REQUIRE(stored->begin());
      REQUIRE(memory.begin());
      for (uint64_t i = random.below(6); i > 0; --i) {
        const auto id = feed::token_id(fmt::format("t{}", random.below(40)));
        IncomingEvent event;
        if (random.below(3) == 0) event.key = fmt::format("k{}", random.below(50));
        switch (random.below(5)) {
          case 0:
            event.what = TokenDeleted{id, random.below(2) == 0 ? 0 : now_s + 100};
            break;
          case 1:
            event.what = Revoked{feed::MarkKind::kSession, "https://i", id.hex(), now_s};
            break;
          case 2:
            event.what =
                ListFetched{.uri = id.hex(), .bits = 1, .zlib = "zlib", .until_s = now_s + 60};
            break;
          default:
            event.what = TokenAdded{id,
                                    {{"exp", now_s + static_cast<int64_t>(random.below(4'000))},
                                     {"sub", fmt::format("s{}", random.below(3))},
                                     {"cnf", json::object{{"jkt", "x"}}}}};
        }
        const std::string source = fmt::format("source-{}", random.below(3));
        const Ruling a = must(rules.apply(source, event, now_s, *stored));
        const Ruling b = must(rules.apply(source, event, now_s, memory));
        CHECK(a.row == b.row);
        CHECK(a.refused.has_value() == b.refused.has_value());
      }
      if (random.below(4) == 0) {
        const size_t max = 1 + random.below(4);
        CHECK(must(stored->remove_ended(now_s, max)) <= max);
        // Rows of one end may go in any order: the memory follows what the file did below.
        must(memory.remove_ended(now_s, 1'000));
        must(stored->remove_ended(now_s, 1'000));
      }
      if (random.below(5) == 0) {
        stored->roll_back();
        memory.roll_back();
      } else {
        REQUIRE(stored->commit());
        REQUIRE(memory.commit());
      }
      CHECK(stored->state() == memory.state());
      if (random.below(10) == 0) {
        stored.reset();
        stored = must(SqliteEventStore::open(file, random));
        CHECK(stored->state() == memory.state());
      }
      const uint64_t after = random.below(stored->state().head + 2);
      const size_t rows_max = 1 + random.below(9);
      const auto a = must(stored->tail(after, rows_max, SIZE_MAX));
      const auto b = must(memory.tail(after, rows_max, SIZE_MAX));
      CHECK(a.rows == b.rows);
      CHECK(a.more == b.more);
      const auto whole = must(stored->range({}, SIZE_MAX, SIZE_MAX));
      CHECK(whole.rows == must(memory.range({}, SIZE_MAX, SIZE_MAX)).rows);
      if (!whole.rows.empty()) {
        const EventKey key = key_of(whole.rows[random.below(whole.rows.size())].event);
        const auto c = must(stored->range(key, rows_max, 300));
        const auto d = must(memory.range(key, rows_max, 300));
        CHECK(c.rows == d.rows);
        CHECK(c.more == d.more);
      }
      now_s += static_cast<int64_t>(random.below(600));
    }
  }
}

TEST_CASE("keys that are forgotten are swept as rows are: until there are none") {
  SystemRandom random;
  const TemporaryFolder folder;
  const auto store = must(SqliteEventStore::open(folder.path() / "lane.db", random));
  REQUIRE(store->begin());
  for (int i = 0; i < 5; ++i) CHECK(must(store->note_key("test", fmt::format("k{}", i), kNowS)));
  // The sweeper goes on at once while a sweep is full: otherwise they would pile up.
  CHECK(must(store->remove_ended(kNowS + kKeyLifeS, 2)) == 2);
  CHECK(must(store->remove_ended(kNowS + kKeyLifeS, 2)) == 2);
  CHECK(must(store->remove_ended(kNowS + kKeyLifeS, 2)) == 1);
  CHECK(must(store->note_key("test", "k0", kNowS + kKeyLifeS)));
  REQUIRE(store->commit());
}

TEST_CASE(
    "a wall clock that jumps ahead does not end revocations, unless it stays there for a day") {
  constexpr TimeMs kStartMs = kNowS * 1'000, kHourMs = 3'600'000, kYearMs = 365 * 24 * kHourMs;
  SweepClock clock(Now{kStartMs, 5'000});
  const auto until_ms = [&](TimeMs wall_ms, TimeMs passed_ms) {
    return clock.until_s(Now{kStartMs + wall_ms, 5'000 + passed_ms}) * 1'000 - kStartMs;
  };
  CHECK(until_ms(10'000, 10'000) == 10'000);
  CHECK(until_ms(kYearMs, 20'000) == kHourMs + 20'000);  // ahead, for a while
  CHECK(until_ms(30'000, 30'000) == 30'000);             // and right again
  CHECK(until_ms(-kYearMs, 40'000) == -kYearMs);         // back: nothing ends
  CHECK(until_ms(-kYearMs + 10'000, 50'000) == -kYearMs + 10'000);
  CHECK(until_ms(60'000, 60'000) == -kYearMs + kHourMs + 20'000);
  CHECK(until_ms(25 * kHourMs, 25 * kHourMs) < 2 * kHourMs);
  CHECK(until_ms(25 * kHourMs + 1'000, 25 * kHourMs + 1'000) == 25 * kHourMs + 1'000);
}

TEST_CASE("attributes that are on the list no more are erased from the file, and its log") {
  SystemRandom random;
  const TemporaryFolder folder;
  const auto file = folder.path() / "lane.db";
  const auto bytes = [&] {
    std::string all;
    for (const char* end : {"", "-wal"})
      if (const auto part = read_file(file.string() + end, 1 << 26)) all += std::string(*part);
    return all;
  };
  const auto name = [](int i) { return fmt::format("a-subject-{}-of-many", i); };
  const auto with = [&](const std::vector<std::string>& names) {
    auto store = must(SqliteEventStore::open(file, random));
    const size_t erased = must(store->keep_only(must(Attributes::parse(names))));
    return std::pair(std::move(store), erased);
  };
  constexpr int kMany = 20'000;
  {
    auto [store, erased] = with({"sub", "aud"});
    CHECK(erased == 0);
    REQUIRE(store->begin());
    for (int i = 0; i < kMany; ++i) {
      Row row{.event = Event::token(feed::token_id(name(i)),
                                    {.sub = name(i), .aud = {"shop"}, .exp_s = kNowS + 100}),
              .revision = static_cast<uint64_t>(i) + 1,
              .remove_s = kNowS + 200,
              .source = "test"};
      REQUIRE(store->put(row));
    }
    REQUIRE(store->put({.event = Event::deleted(feed::token_id("gone"), kNowS + 100),
                        .revision = kMany + 1,
                        .remove_s = kNowS + 100,
                        .source = "test"}));
    REQUIRE(store->commit());
    CHECK(bytes().contains("-of-many"));
  }
  CHECK(with({"aud", "sub", "exp"}).second == 0);
  CHECK(with({"sub", "aud", "client"}).second == 0);
  auto [store, erased] = with({"aud"});
  CHECK(erased == kMany);
  CHECK_FALSE(bytes().contains("-of-many"));
  CHECK(bytes().contains("shop"));
  const auto kept = must(store->find({EventKind::kToken, feed::token_id(name(kMany - 1))}));
  REQUIRE(kept);
  CHECK(kept->event.record.sub.empty());
  CHECK(kept->event.record.aud == std::vector<std::string>{"shop"});
  CHECK(kept->revision == kMany);
  CHECK(store->state().head == kMany + 1);
  CHECK(store->state().tokens == kMany);
  store.reset();
  CHECK(with({"aud"}).second == 0);
}

TEST_CASE("a restored file has another instance, and keeps it") {
  SystemRandom random;
  const TemporaryFolder folder;
  const auto file = folder.path() / "lane.db";
  const auto instance = [&](int64_t restored_ms) {
    return must(SqliteEventStore::open(file, random, {.restored_ms = restored_ms}))
        ->state()
        .instance;
  };
  const feed::TokenId first = instance(0);
  CHECK(instance(0) == first);
  const feed::TokenId second = instance(77);
  CHECK(second != first);
  CHECK(instance(77) == second);
  CHECK(instance(0) == second);  // the mark is gone once all is recovered
  CHECK(instance(78) != second);
}

}  // namespace notp::lane
