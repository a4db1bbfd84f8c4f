// A lane's readers in virtual time: their sessions, which hold what a peer has not read, and nodes
// that keep what they are sent.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "common/random.hpp"
#include "notp-server/lane/fan_out.hpp"
#include "notp-server/lane/intake_rules.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane/memory_event_store.hpp"
#include "protocol/feed/feed_limits.hpp"
#include "protocol/wire/frame.hpp"

namespace notp::lane {

using feed::Event;
using feed::EventKey;
using feed::EventKind;

inline constexpr TimeMs kWallMs = 1'800'000'000'000;
inline constexpr int64_t kLifeS = 7'200;

template <typename T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return *std::move(result);
}

inline const PrivateKey& key() {
  static const PrivateKey made = PrivateKey::from_seed({1, 2, 3});
  return made;
}

inline feed::SealedStatement statement_of(const model::Content& frame) {
  wire::FrameParser parser;
  parser.feed(*frame);
  auto message = must(parser.next());
  return std::get<wire::LaneStatement>(std::move(*message)).statement;
}

inline session::Identity node(const std::string& name) {
  return {.trust_domain = "example.org", .role = session::Role::kNode, .name = name};
}

inline Grant grant(const std::string& nodes, std::vector<std::string> audiences,
                   Attributes attributes) {
  Grant out;
  out.nodes.push_back(must(session::IdentityPattern::parse(nodes, "example.org")));
  out.audiences = std::move(audiences);
  out.attributes = attributes;
  return out;
}

// What a node keeps of a lane, as protocol/feed/README.md says.
struct Node {
  const Now* now = nullptr;
  session::Identity identity;
  wire::LaneMode mode = wire::LaneMode::kPush;
  std::optional<wire::LanePosition> at;
  std::map<EventKey, Event> rows;
  bool in_snapshot = false;
  std::set<EventKey> brought;
  std::optional<EventKey> after;
  bool is_lost = false;  // it has to subscribe again
  uint64_t batches = 0, pages = 0;

  wire::LaneSubscribe subscription() const {
    wire::LaneSubscribe out{.lane = "tokens", .mode = mode, .position = at};
    if (in_snapshot) {
      out.snapshot = true;
      out.after = after;
    }
    return out;
  }
  bool is_deleted(const feed::TokenId& id) const {
    const auto found = rows.find({EventKind::kDeleted, id});
    return found != rows.end() && found->second.until_s > now->wall_ms / 1'000;
  }
  void put(const Event& event) {
    if (event.kind == EventKind::kToken && is_deleted(event.id)) return;
    if (event.kind == EventKind::kDeleted) rows.erase({EventKind::kToken, event.id});
    rows[key_of(event)] = event;
  }
  void take(const feed::SealedStatement& sealed) {
    const Bytes body = must(feed::open(sealed, key().public_key()));
    if (sealed.type == feed::StatementType::kBatch) take(must(feed::Batch::decode(body)));
    if (sealed.type == feed::StatementType::kSnapshot) take(must(feed::Snapshot::decode(body)));
  }
  bool is_of_its_history(const feed::LaneHeader& header) const {
    return at && at->instance == header.instance && at->grant == header.grant;
  }
  void take(const feed::Batch& batch) {
    ++batches;
    if (!is_of_its_history(batch.header) || batch.from > at->revision) {
      is_lost = true;
      return;
    }
    if (batch.to <= at->revision) return;
    for (const Event& event : batch.events) {
      put(event);
      brought.insert(key_of(event));
    }
    at->revision = batch.to;
  }
  void take(const feed::Snapshot& page) {
    ++pages;
    if (!page.after) {
      at = {page.header.instance, page.header.grant, page.as_of};
      brought.clear();
      in_snapshot = true;
      after.reset();
    }
    if (!in_snapshot || !is_of_its_history(page.header)) return;
    // A page may come twice, and then with another end.
    if (page.after && (!after || *page.after > *after)) {
      is_lost = true;
      return;
    }
    std::erase_if(rows, [&](const auto& entry) {
      const EventKey& at_key = entry.first;
      const bool is_in =
          (!page.after || at_key > *page.after) && (!page.last || at_key <= *page.last);
      return is_in && !brought.contains(at_key) && at_key.kind == EventKind::kToken;
    });
    for (const Event& row : page.rows)
      if (!brought.contains(key_of(row))) put(row);
    after = page.last;
    if (!page.last) in_snapshot = false;
  }
};

// A lane with its readers. The queue of a session holds what its peer has not read.
struct Site {
  struct Session {
    uint32_t stream = 0;
    bool is_open = false;
    std::optional<uint64_t> group;
    struct Sent {
      model::Content frame;
      uint64_t to = 0;
    };
    std::deque<Sent> queue;
    bool is_page_due = false, is_slow = false;
    uint64_t sent_to = 0;
    std::vector<wire::LaneState> told;
  };

  Now now{.wall_ms = kWallMs, .boot_ms = 1'000};
  MemoryEventStore store{feed::token_id("instance")};
  IntakeRules rules{{.life_max_s = kLifeS, .attributes = Attributes::all(), .tokens_max = 1'000}};
  size_t unsent_max;
  std::vector<Grant> grants;
  FanOut fan_out;
  std::map<uint64_t, Session> sessions;
  std::map<uint64_t, Node> nodes;
  uint64_t lost = 0, slow = 0;  // gaps that nodes saw; sessions that fell behind

  explicit Site(std::vector<Grant> granted, size_t unsent_max = 4'000)
      : unsent_max(unsent_max),
        grants(granted),
        fan_out({"example.org", "tokens", {.hard_s = 900, .serves = false, .life_s = kLifeS}},
                std::move(granted), store, key(), unsent_max) {}

  int64_t now_s() const { return now.wall_ms / 1'000; }
  void pass(TimeMs time_ms) {
    now.wall_ms += time_ms;
    now.boot_ms += time_ms;
    if (now.boot_ms >= fan_out.next_deadline()) fan_out.on_deadline(now);
    carry_out();
  }
  std::optional<Error> tell(IncomingEvent event) {
    REQUIRE(store.begin());
    auto ruling = must(rules.apply("test", event, now_s(), store));
    REQUIRE(store.commit());
    if (ruling.row) fan_out.committed({*ruling.row}, now);
    carry_out();
    return ruling.refused;
  }
  std::optional<Error> add(const std::string& token, const std::string& audience, int64_t life_s) {
    return tell(
        {.key = {},
         .what = TokenAdded{
             .id = feed::token_id(token),
             .attributes = {{"aud", audience}, {"sub", "s-" + token}, {"exp", now_s() + life_s}}}});
  }
  std::optional<Error> remove(const std::string& token) {
    return tell({.key = {}, .what = TokenDeleted{.id = feed::token_id(token)}});
  }
  void sweep() {
    REQUIRE(store.begin());
    must(store.remove_ended(now_s(), 100));
    REQUIRE(store.commit());
  }

  void subscribe(uint64_t number) {
    Session& session = sessions[number];
    session.queue.clear();
    session.group.reset();
    session.is_page_due = session.is_slow = false;
    session.sent_to = 0;
    session.is_open = true;
    ++session.stream;
    nodes[number].now = &now;
    nodes[number].is_lost = false;
    fan_out.subscribe({number, session.stream}, nodes[number].identity,
                      nodes[number].subscription(), now);
    carry_out();
  }
  void cut(uint64_t number) {
    sessions[number].is_open = false;
    sessions[number].queue.clear();
    sessions[number].group.reset();
    fan_out.closed(number);
    carry_out();
  }
  // The peer reads one frame.
  void read(uint64_t number) {
    Session& session = sessions[number];
    if (!session.is_open) return;
    if (!session.queue.empty()) {
      const Session::Sent sent = session.queue.front();
      session.queue.pop_front();
      if (sent.to != 0) session.sent_to = sent.to;
      nodes[number].take(statement_of(sent.frame));
      if (nodes[number].is_lost) {
        ++lost;
        return subscribe(number);
      }
    }
    if (!session.queue.empty() || (!session.is_page_due && !session.is_slow)) return;
    session.is_page_due = session.is_slow = false;
    fan_out.drained({number, session.stream}, now);
    carry_out();
  }
  void push(uint64_t number, Session& session, const model::Content& frame, uint64_t to) {
    size_t unsent = 0;
    for (const auto& sent : session.queue) unsent += sent.frame->size();
    if (unsent != 0 && unsent + frame->size() > unsent_max) {
      session.queue.clear();
      session.group.reset();
      session.is_page_due = false;
      session.is_slow = true;
      ++slow;
      ++session.stream;
      return fan_out.fell_behind({number, session.stream}, std::exchange(session.sent_to, 0), now);
    }
    session.queue.push_back({frame, to});
  }
  Session* find(const ReaderKey& reader) {
    Session& session = sessions[reader.number];
    return session.is_open && session.stream == reader.stream ? &session : nullptr;
  }
  void on(const lane_effect::Tell& tell) {
    Session* const session = find(tell.reader);
    if (session == nullptr) return;
    if (std::exchange(session->group, std::nullopt)) session->queue.clear();
    session->told.push_back(tell.state);
  }
  void on(const lane_effect::ToReader& sent) {
    Session* const session = find(sent.reader);
    if (session == nullptr) return;
    push(sent.reader.number, *session, sent.frame, sent.to);
    if (sent.is_page && session->stream == sent.reader.stream) session->is_page_due = true;
  }
  void on(const lane_effect::Join& join) {
    if (Session* const session = find(join.reader)) session->group = join.group;
  }
  void on(const lane_effect::ToGroup& sent) {
    for (auto& [number, session] : sessions)
      if (session.is_open && session.group == sent.group)
        push(number, session, sent.frame, sent.to);
  }
  void carry_out() {
    for (auto effects = fan_out.take_effects(); !effects.empty(); effects = fan_out.take_effects())
      for (const LaneEffect& effect : effects) std::visit([this](const auto& e) { on(e); }, effect);
  }
  void work() {
    fan_out.work(now);
    carry_out();
  }
  // Everything that is on its way arrives.
  void settle() {
    pass(kGatherMsMax);
    for (int round = 0; round < 10'000; ++round) {
      bool is_idle = !fan_out.has_work();
      work();
      for (auto& [number, session] : sessions) {
        is_idle = is_idle && session.queue.empty() && !session.is_page_due && !session.is_slow;
        read(number);
      }
      if (is_idle) return;
    }
    FAIL("the lane does not settle");
  }

  // Living tokens that the node's grant sees.
  std::map<feed::TokenId, feed::TokenRecord> expected(const Node& node) {
    std::map<feed::TokenId, feed::TokenRecord> out;
    const Grant* const granted = find_grant(grants, node.identity);
    const GrantView view("tokens", *granted, node.mode);
    for (const Row& row : must(store.range({}, 100'000, SIZE_MAX)).rows)
      if (const auto event = view.row(row.event);
          event && event->kind == EventKind::kToken && event->record.exp_s > now_s())
        out[event->id] = event->record;
    return out;
  }
  std::map<feed::TokenId, feed::TokenRecord> living(const Node& node) const {
    std::map<feed::TokenId, feed::TokenRecord> out;
    for (const auto& [at, event] : node.rows)
      if (at.kind == EventKind::kToken && event.record.exp_s > now_s()) out[at.id] = event.record;
    return out;
  }
};

}  // namespace notp::lane
