// A node's table of tokens beside plain maps: random events, snapshots and expiry.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/random.hpp"
#include "notp-client/lane/table/token_table.hpp"

namespace notp::lane {
namespace {

using feed::Event;
using feed::EventKey;
using feed::EventKind;
using feed::TokenId;
using feed::TokenRecord;

constexpr uint64_t kSeeds = 40;
constexpr int64_t kStart = 1'800'000'000;
constexpr uint64_t kIds = 3'000;  // in two shards, so that their files are written again

TokenId id_of(uint64_t number) {
  TokenId id = feed::token_id(fmt::format("token {}", number));
  id.bytes[0] = static_cast<uint8_t>((number & 1) << 2 | (id.bytes[0] & 3));
  return id;
}

std::string uuid(Random& random) {
  const uint64_t a = random.next_u64(), b = random.next_u64();
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xffff,
                     b >> 48, b & 0xffff'ffff'ffff);
}

std::string one_of(Random& random, std::initializer_list<const char*> texts) {
  return *(texts.begin() + random.below(texts.size()));
}

TokenRecord record(Random& random, int64_t now_s) {
  TokenRecord out;
  out.exp_s = now_s + 1 + static_cast<int64_t>(random.below(400));
  if (random.below(4) != 0) out.iat_s = now_s - static_cast<int64_t>(random.below(100));
  if (random.below(8) == 0) out.auth_time_s = out.exp_s + 5;
  out.iss = one_of(random, {"", "https://a.example", "https://b.example/realms/x"});
  out.client = one_of(random, {"", "shop", "mobile"});
  out.sub = one_of(random, {"", "shop", "alice", "ABCDEF01-0000-0000-0000-000000000000"});
  if (random.below(2) == 0) out.sub = uuid(random);
  if (random.below(3) == 0) out.sid = random.below(2) == 0 ? uuid(random) : "session";
  out.scope = one_of(random, {"", "openid", "openid profile", "payments:write"});
  if (random.below(3) == 0) out.aud = {"api", one_of(random, {"x", "y", "a longer audience"})};
  if (random.below(5) == 0) out.acr = "2";
  if (random.below(5) == 0) out.amr = {"pwd", "otp"};
  if (random.below(9) == 0) out.cnf = R"({"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})";
  return out;
}

Bytes zlib_of(ByteView bytes) {
  uLongf size = ::compressBound(bytes.size());
  Bytes out(size, '\0');
  REQUIRE(::compress(reinterpret_cast<Bytef*>(out.data()), &size,
                     reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) == Z_OK);
  out.resize(size);
  return out;
}

// Everything by key, lists inflated.
using State = std::map<EventKey, Event>;

State state_of(const TableUpdate& whole) {
  State out;
  for_each(whole, [&](const Event& event) {
    REQUIRE(out.emplace(feed::key_of(event), event).second);
    return true;
  });
  return out;
}

// The rules of a table, without its layout.
class Model {
 public:
  void apply(const Event& event, const Event& inflated) {
    const EventKey key = feed::key_of(event), token{EventKind::kToken, event.id};
    switch (event.kind) {
      case EventKind::kToken: {
        const EventKey tombstone{EventKind::kDeleted, event.id};
        const auto found = state.find(tombstone);
        if (found != state.end() && found->second.until_s > now_s) return;
        if (found != state.end()) state.erase(found);
        state.insert_or_assign(key, event);
        return;
      }
      case EventKind::kDeleted: {
        state.erase(token);
        Event& now = state.try_emplace(key, event).first->second;
        now.until_s = std::max(now.until_s, event.until_s);
        return;
      }
      case EventKind::kMark: {
        Event& now = state.try_emplace(key, event).first->second;
        if (now.until_s <= now_s) now = event;
        now.until_s = std::max(now.until_s, event.until_s);
        now.not_before_s = std::max(now.not_before_s, event.not_before_s);
        return;
      }
      case EventKind::kList:
        state.insert_or_assign(key, inflated);
    }
  }

  // What has ended may be there or not.
  void forget_ended(const State& kept) {
    std::erase_if(state, [&](const auto& each) {
      return each.second.end_s() <= now_s && !kept.contains(each.first);
    });
  }

  State state;
  int64_t now_s = kStart;
};

// A PDP that gets shards.
class Replica {
 public:
  void apply(const TableUpdate& update) {
    if (update.feed.is_whole) whole_.feed.shards.clear();
    for (const auto& [key, shard] : update.feed.shards) whole_.feed.shards[key] = shard;
    whole_.feed.is_whole = true;
  }
  State state() const { return state_of(whole_); }

 private:
  TableUpdate whole_;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}

  void step() {
    switch (random_.below(12)) {
      case 0:
        model_.now_s += static_cast<int64_t>(random_.below(60));
        table_.expire(model_.now_s);
        break;
      case 1:
        snapshot();
        break;
      case 2:
        compare();
        break;
      case 3:
        replica_ = {};
        replica_.apply(table_.whole());
        break;
      default:
        batch();
    }
    take();
  }

  void compare() {
    const State held = state_of(table_.whole());
    model_.forget_ended(held);
    REQUIRE(held == model_.state);
    REQUIRE(replica_.state() == held);
    REQUIRE(by_events_ == held);
    const auto count = [&](EventKind kind) {
      return static_cast<size_t>(
          std::ranges::count_if(held, [&](const auto& each) { return each.first.kind == kind; }));
    };
    REQUIRE(table_.tokens() == count(EventKind::kToken));
    REQUIRE(table_.tombstones() == count(EventKind::kDeleted));
    REQUIRE(table_.marks() == count(EventKind::kMark));
    REQUIRE(table_.lists() == count(EventKind::kList));
    for (int i = 0; i < 20; ++i) {
      const TokenId id = id_of(random_.below(kIds));
      const auto token = held.find({EventKind::kToken, id});
      REQUIRE(table_.find(id) ==
              (token == held.end() ? std::nullopt : std::optional(token->second.record)));
      REQUIRE(table_.is_deleted(id) == held.contains({EventKind::kDeleted, id}));
    }
    REQUIRE(!table_.take_trouble());
  }

 private:
  // An event, and how the table gives it back.
  std::pair<Event, Event> event() {
    const TokenId id = id_of(random_.below(kIds));
    const int64_t until_s = model_.now_s + 1 + static_cast<int64_t>(random_.below(500));
    switch (random_.below(20)) {
      case 0: {
        const Event mark =
            Event::mark(id, model_.now_s - static_cast<int64_t>(random_.below(50)), until_s);
        return {mark, mark};
      }
      case 1: {
        if (random_.below(5) != 0) break;
        const TokenId key = id_of(random_.below(6));
        const Bytes statuses(1 + random_.below(3'000), static_cast<char>(random_.below(256)));
        return {Event::status_list(key, 2, zlib_of(statuses), until_s),
                Event::status_list(key, 2, statuses, until_s)};
      }
      case 2:
      case 3:
      case 4: {
        const Event deleted = Event::deleted(id, until_s);
        return {deleted, deleted};
      }
      default:
        break;
    }
    const Event token = Event::token(id, record(random_, model_.now_s));
    return {token, token};
  }

  void batch() {
    std::vector<Event> events;
    for (uint64_t i = random_.below(300); i > 0; --i) {
      auto [event, inflated] = this->event();
      touched_.insert(feed::key_of(event));
      model_.apply(event, inflated);
      events.push_back(std::move(event));
    }
    REQUIRE(table_.apply(events) == 0);
  }

  // A registry that holds something else; batches arrive meanwhile.
  void snapshot() {
    std::map<EventKey, std::pair<Event, Event>> rows;
    const uint64_t count = random_.below(2'000);
    for (uint64_t i = 0; i < count; ++i) {
      auto row = event();
      rows.insert_or_assign(feed::key_of(row.first), row);
    }
    table_.begin_snapshot(++as_of_);
    touched_.clear();
    std::optional<EventKey> after;
    for (auto row = rows.begin();; after = std::prev(row)->first) {
      feed::Snapshot page{.as_of = as_of_, .after = after};
      for (uint64_t i = 1 + random_.below(500); i > 0 && row != rows.end(); --i, ++row)
        page.rows.push_back(row->second.first);
      const bool is_last = row == rows.end();
      if (!is_last) page.last = std::prev(row)->first;
      REQUIRE(table_.apply_rows(page) == 0);
      for (const Event& each : page.rows) {
        const EventKey key = feed::key_of(each);
        const bool revokes = each.kind == EventKind::kMark || each.kind == EventKind::kDeleted;
        if (revokes || !touched_.contains(key)) model_.apply(each, rows.at(key).second);
      }
      std::erase_if(model_.state, [&](const auto& each) {
        const EventKey& key = each.first;
        const bool may_go = key.kind == EventKind::kToken || key.kind == EventKind::kList;
        const bool in_range =
            (!page.after || key > *page.after) && (!page.last || key <= *page.last);
        return may_go && in_range && !rows.contains(key) && !touched_.contains(key);
      });
      if (is_last) break;
      if (random_.below(2) == 0) batch();
      if (random_.below(4) == 0) take();
    }
    table_.end_snapshot();
  }

  void take() {
    const TableUpdate update = table_.take_update();
    replica_.apply(update);
    for (const EventKey& key : update.gone) by_events_.erase(key);
    for (const Event& each : update.events) {
      if (each.kind == EventKind::kDeleted) by_events_.erase({EventKind::kToken, each.id});
      by_events_.insert_or_assign(feed::key_of(each), each);
    }
  }

  SeededRandom random_;
  Model model_;
  TokenTable table_{{.with_events = true}};
  Replica replica_;
  State by_events_;
  std::set<EventKey> touched_;
  uint64_t as_of_ = 0;
};

TEST_CASE("a table has what its events say, and so do those that get its updates") {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    World world(seed);
    for (int i = 0; i < 60; ++i) world.step();
    world.compare();
  }
}

TEST_CASE("what has ended goes, also from a table too small to be written again for its changes") {
  for (const uint64_t count : {uint64_t{3}, uint64_t{100}, uint64_t{3'000}}) {
    CAPTURE(count);
    SeededRandom random(count);
    TokenTable table({.with_events = true});
    std::vector<Event> events;
    for (uint64_t i = 0; i < count; ++i) {
      TokenRecord one = record(random, kStart);
      one.exp_s = kStart + 10;
      events.push_back(Event::token(id_of(i), std::move(one)));
      events.push_back(Event::deleted(id_of(count + i), kStart + 10));
      events.push_back(Event::mark(id_of(i), kStart, kStart + 10));
    }
    REQUIRE(table.apply(events) == 0);
    table.take_update();
    size_t freed = 0;
    for (int i = 0; i < 64; ++i) freed += table.expire(kStart + 10);
    CHECK(freed == 3 * count);
    CHECK(table.tokens() + table.tombstones() + table.marks() == 0);
    CHECK(table.take_update().gone.size() == 3 * count);
  }
}

}  // namespace
}  // namespace notp::lane
