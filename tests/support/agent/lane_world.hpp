// A registry's lane and a node that follows it, in one process with one clock: for tests of
// LaneCore. The node's host is a model: what was not durable is lost when it is restarted.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "notp-client/lane/core/lane_core.hpp"
#include "notp-client/lane/lane_limits.hpp"

namespace notp::lane_world {

using feed::Event;
using feed::EventKey;
using feed::EventKind;

inline const std::string kDomain = "prod.internal";
inline const std::string kLane = "main";
inline constexpr TimeMs kStartMs = 1'800'000'000'000;
inline constexpr int64_t kStartS = kStartMs / 1000;
inline constexpr int64_t kLifeS = 3600;

inline feed::TokenId token_id(int number) { return feed::token_id("t" + std::to_string(number)); }
inline feed::TokenId history(uint8_t number) {
  feed::TokenId id;
  id.bytes.fill(number);
  return id;
}
inline Event alive(int number, int64_t exp_s = kStartS + kLifeS) {
  return Event::token(token_id(number),
                      {.iss = "https://login.internal", .sub = "u", .exp_s = exp_s});
}
inline Event dead(int number, int64_t until_s = kStartS + kLifeS) {
  return Event::deleted(token_id(number), until_s);
}

using Rows = std::map<EventKey, Event>;

// As TokenTable::apply() and lane.db do: deletions win, marks never move back.
inline void apply(Rows& rows, const Event& event) {
  if (event.kind == EventKind::kToken && rows.contains({EventKind::kDeleted, event.id})) return;
  if (event.kind == EventKind::kDeleted) rows.erase({EventKind::kToken, event.id});
  rows.insert_or_assign(key_of(event), event);
}

// The registry.
struct Registry {
  const PrivateKey key = PrivateKey::from_seed({7});
  feed::LaneTerms terms{.hard_s = 900, .serves = false, .life_s = kLifeS};
  feed::TokenId instance = history(1);
  uint64_t grant = 1;
  uint64_t head = 0;
  uint64_t compacted = 0;  // batches from below it cannot be made
  size_t rows_a_part = 3;
  uint32_t refuses = 0;  // wire number of an error
  Rows rows;
  std::map<EventKey, uint64_t> revisions;
  std::map<uint64_t, EventKey> history_of_rows;  // the same by revision

  void add(const Event& event) {
    apply(rows, event);
    if (event.kind == EventKind::kDeleted) forget({EventKind::kToken, event.id});
    forget(key_of(event));
    ++head;
    if (!rows.contains(key_of(event))) return;
    revisions[key_of(event)] = head;
    history_of_rows.emplace(head, key_of(event));
  }
  void forget(const EventKey& row) {
    const auto found = revisions.find(row);
    if (found == revisions.end()) return;
    history_of_rows.erase(found->second);
    revisions.erase(found);
  }
  feed::LaneHeader header(TimeMs now_ms) const {
    return {kDomain, kLane, instance, grant, now_ms, head, terms};
  }
  feed::SealedStatement batch(uint64_t from, TimeMs now_ms) const {
    feed::Batch out{header(now_ms), from, head, {}};
    for (auto row = history_of_rows.upper_bound(from); row != history_of_rows.end(); ++row)
      out.events.push_back(rows.at(row->second));
    return seal(feed::StatementType::kBatch, out.encode(), key);
  }
  // The rows behind `after`; sets it to the last one, or to nullopt at the end.
  feed::SealedStatement part(std::optional<EventKey>& after, uint64_t as_of, TimeMs now_ms,
                             bool tokens) const {
    feed::Snapshot out{header(now_ms), as_of, after, std::nullopt, {}};
    auto row = after ? rows.upper_bound(*after) : rows.begin();
    for (; row != rows.end() && out.rows.size() < rows_a_part; ++row)
      if (tokens || row->first.kind != EventKind::kToken) out.rows.push_back(row->second);
    if (row != rows.end() && !out.rows.empty()) out.last = key_of(out.rows.back());
    after = out.last;
    return seal(feed::StatementType::kSnapshot, out.encode(), key);
  }
  feed::SealedStatement answer(const feed::TokenId& id, TimeMs now_ms) const {
    feed::Answer out{header(now_ms), head, id, std::nullopt};
    for (const EventKind kind : {EventKind::kDeleted, EventKind::kToken})
      if (const auto row = rows.find({kind, id}); row != rows.end() && !out.event)
        out.event = row->second;
    return seal(feed::StatementType::kAnswer, out.encode(), key);
  }
};

// A session's end at the registry: what it still sends.
struct Feed {
  Registry* registry = nullptr;
  wire::LaneMode mode = wire::LaneMode::kPush;
  std::optional<uint64_t> sent;  // revision; nullopt: nothing is followed
  bool in_snapshot = false;
  bool has_begun = false;  // the first part went, or there is none: batches may go
  uint64_t as_of = 0;
  std::optional<EventKey> after;
  std::deque<std::variant<wire::LaneState, feed::SealedStatement>> out;

  void subscribe(const wire::LaneSubscribe& subscribe) {
    const Registry& at = *registry;
    mode = subscribe.mode;
    sent.reset();
    in_snapshot = false;
    wire::LaneState state{.lane = kLane, .code = at.refuses, .message = "no"};
    if (at.refuses != 0) return out.push_back(state);
    state = {kLane, 0, "", at.instance, at.grant, at.head, false};
    out.push_back(state);
    const auto& from = subscribe.position;
    const bool continues = from && from->instance == at.instance && from->grant == at.grant &&
                           from->revision >= at.compacted && from->revision <= at.head;
    sent = continues ? from->revision : at.head;
    in_snapshot = !continues || subscribe.snapshot;
    after = continues ? subscribe.after : std::nullopt;
    as_of = *sent;
    has_begun = !in_snapshot || after;
  }
  void ask(const wire::LaneAsk& ask, TimeMs now_ms) {
    for (const feed::TokenId& id : ask.ids) out.push_back(registry->answer(id, now_ms));
  }
  // Queues what is due. False: there was nothing.
  bool produce(TimeMs now_ms) {
    if (!sent) return false;
    if (*sent < registry->head && has_begun) {
      out.push_back(registry->batch(*sent, now_ms));
      sent = registry->head;
      return true;
    }
    if (!in_snapshot) return false;
    out.push_back(registry->part(after, as_of, now_ms, mode == wire::LaneMode::kPush));
    has_begun = true;
    in_snapshot = after.has_value();
    return true;
  }
  void heartbeat(TimeMs now_ms) {
    if (!sent || !has_begun) return;
    out.push_back(registry->batch(*sent, now_ms));
    sent = registry->head;
  }
};

// The node.
struct Node {
  lane::LaneOptions options{kDomain, kLane, lane::LaneMode::kPush, false};
  Now now{kStartMs, 1'000};
  Registry& registry;
  std::optional<PublicKey> key = registry.key.public_key();
  std::optional<Feed> feed;
  std::unique_ptr<lane::LaneCore> core;

  // As lane.db has it, and the table.
  lane::LaneMarks durable_marks;
  Rows durable, table;
  std::optional<std::set<EventKey>> seen;  // in a snapshot: what it and batches since have brought
  std::deque<lane::effect::Take> unstored;
  uint64_t losses = 0;
  bool stores = true, fails = false, decides = true;
  uint64_t undecided = 0;
  lane::LaneReadout readout;

  std::vector<lane::effect::Alarm> alarms;
  std::vector<lane::LaneTopic> over;
  std::vector<Error> refused;
  std::vector<std::string> states, again;
  std::vector<wire::LaneSubscribe> subscribed;
  std::vector<wire::LaneApplied> reports;
  std::vector<std::pair<feed::TokenId, lane::AskOutcome>> resolved;
  std::vector<size_t> asked;  // ids of each frame
  // Revisions with a deletion that this node acknowledged, and the ids.
  std::map<feed::TokenId, uint64_t> deleted_at;

  explicit Node(Registry& at) : registry(at) {}

  void boot() {
    table = durable;
    if (!options.keeps_tokens)
      std::erase_if(table, [](const auto& row) { return row.first.kind == EventKind::kToken; });
    seen.reset();
    unstored.clear();
    losses = 0;
    feed.reset();
    core = std::make_unique<lane::LaneCore>(options, durable_marks, now);
    core->on_root(key, now);
    run();
  }
  void connect() {
    feed.emplace();
    feed->registry = &registry;
    core->on_connected(now);
    run();
  }
  void cut() {
    feed.reset();
    core->on_disconnected(now);
    run();
  }
  void crash() {
    core.reset();
    boot();
  }

  // Gives the node one message. False: there is none.
  bool step() {
    const auto message = next();
    if (message) give(*message);
    return message.has_value();
  }
  void give(const std::variant<wire::LaneState, feed::SealedStatement>& message) {
    if (const auto* state = std::get_if<wire::LaneState>(&message))
      core->on_state(*state, now);
    else
      core->on_statement(std::get<feed::SealedStatement>(message), now);
    run();
  }
  // The next message; nullopt: there is none.
  using Message = std::variant<wire::LaneState, feed::SealedStatement>;
  std::optional<Message> next() {
    if (!feed || (feed->out.empty() && !feed->produce(now.wall_ms))) return std::nullopt;
    std::optional<Message> message = std::move(feed->out.front());
    feed->out.pop_front();
    return message;
  }
  void step_without_node() { next(); }
  void step_twice() {
    if (const auto message = next()) give(*message), give(*message);
  }
  void step_swapped() {
    const auto first = next(), second = next();
    if (second) give(*second);
    if (first) give(*first);
  }
  void step_altered() {
    auto message = next();
    if (!message) return;
    if (auto* statement = std::get_if<feed::SealedStatement>(&*message))
      statement->body.back() ^= 1;
    give(*message);
  }
  void settle() {
    while (step()) continue;
  }
  // Passes time, deadline by deadline, with a heartbeat every 10 s of a session.
  void advance(TimeMs by_ms) {
    const TimeMs end_ms = now.boot_ms + by_ms;
    while (now.boot_ms < end_ms) {
      const TimeMs next_ms =
          std::clamp(core->next_deadline(), now.boot_ms + 1, std::min(end_ms, now.boot_ms + 5'000));
      now.wall_ms += next_ms - now.boot_ms;
      now.boot_ms = next_ms;
      core->on_deadline(now);
      run();
      if (feed && heartbeats && now.boot_ms >= beat_ms + limits::kLaneHeartbeatMs) {
        beat_ms = now.boot_ms;
        feed->heartbeat(now.wall_ms);
      }
      settle();
    }
  }
  bool heartbeats = true;
  TimeMs beat_ms = 0;

  void run() {
    for (auto effects = core->take_effects(); !effects.empty(); effects = core->take_effects())
      for (auto& effect : effects) std::visit([this](auto& each) { on(each); }, effect);
    work();
  }
  // What the store's thread and the PDP do.
  void work() {
    while (stores && !unstored.empty()) {
      const lane::effect::Take take = std::move(unstored.front());
      unstored.pop_front();
      if (fails) {
        ++losses;
        core->on_persist_failed(take.number, {ErrorCode::kIo, "the disk is full", {}}, now);
      } else {
        store(take);
        core->on_durable(take.number, now);
      }
      return run();
    }
    if (decides && undecided != 0) {
      core->on_decided(std::exchange(undecided, 0), tokens(), now);
      run();
    }
  }
  size_t tokens() const {
    return static_cast<size_t>(std::ranges::count_if(
        table, [](const auto& row) { return row.first.kind == EventKind::kToken; }));
  }
  void store(const lane::effect::Take& take) {
    const auto put = [&](const Event& event) {
      if (event.kind != EventKind::kToken || options.keeps_tokens) apply(durable, event);
    };
    if (const auto* events = std::get_if<lane::change::Events>(&take.change))
      for (const Event& event : events->events) put(event);
    if (const auto* part = std::get_if<lane::change::Rows>(&take.change))
      for (const Event& row : part->snapshot.rows) put(row);
    durable_marks = take.marks;
    if (take.losses != losses) durable_marks.position.reset();
  }

  void on(lane::effect::Subscribe& effect) {
    subscribed.push_back(effect.subscribe);
    if (feed) feed->subscribe(effect.subscribe);
  }
  void on(lane::effect::Ask& effect) {
    asked.push_back(effect.ask.ids.size());
    if (feed) feed->ask(effect.ask, now.wall_ms);
  }
  void on(lane::effect::Report& effect) { reports.push_back(effect.applied); }
  void on(lane::effect::Take& effect) {
    undecided = effect.number;
    if (auto* events = std::get_if<lane::change::Events>(&effect.change)) {
      for (const Event& event : events->events) {
        apply(table, event);
        if (seen) seen->insert(key_of(event));
      }
    } else if (std::holds_alternative<lane::change::SnapshotBegins>(effect.change)) {
      seen.emplace();
    } else if (auto* part = std::get_if<lane::change::Rows>(&effect.change)) {
      take_rows(part->snapshot);
    } else if (std::holds_alternative<lane::change::SnapshotEnds>(effect.change)) {
      seen.reset();
    } else if (auto* forget = std::get_if<lane::change::Forget>(&effect.change)) {
      for (const feed::TokenId& id : forget->ids) table.erase({EventKind::kToken, id});
    }
    unstored.push_back(std::move(effect));
  }
  void take_rows(const feed::Snapshot& part) {
    std::set<EventKey> rows;
    for (const Event& row : part.rows) {
      rows.insert(key_of(row));
      if (!seen->contains(key_of(row))) apply(table, row);
    }
    std::erase_if(table, [&](const auto& row) {
      const EventKey& at = row.first;
      return at.kind == EventKind::kToken && (!part.after || at > *part.after) &&
             (!part.last || at <= *part.last) && !rows.contains(at) && !seen->contains(at);
    });
  }
  void on(lane::effect::Show& effect) { readout = effect.readout; }
  void on(lane::effect::Expire& effect) {
    std::erase_if(table, [&](const auto& row) { return row.second.end_s() < effect.now_s; });
    std::erase_if(durable, [&](const auto& row) { return row.second.end_s() < effect.now_s; });
  }
  void on(lane::effect::Resolved& effect) { resolved.emplace_back(effect.id, effect.outcome); }
  void on(lane::effect::Alarm& effect) { alarms.push_back(effect); }
  void on(lane::effect::AlarmOver& effect) { over.push_back(effect.topic); }
  void on(lane::effect::StateChanged& effect) { states.emplace_back(effect.after); }
  void on(lane::effect::Refused& effect) { refused.push_back(effect.error); }
  void on(lane::effect::FollowsAgain& effect) { again.push_back(effect.why); }

  // What a policy would get of it now, by the readout that the PDP has.
  bool is_accepted(int number) const {
    const TimeMs trusted_ms =
        std::max(now.wall_ms, readout.trusted_ms + now.boot_ms - readout.boot_ms);
    const bool is_stale = readout.heard_ms == 0 || trusted_ms - readout.heard_ms >
                                                       static_cast<TimeMs>(readout.hard_s) * 1000;
    const auto row = table.find({EventKind::kToken, token_id(number)});
    return !is_stale && row != table.end() && row->second.end_s() * 1000 > trusted_ms;
  }
  std::string state() const {
    return std::string(lane::lane_state_name(core->readout(), core->readout().trusted_ms));
  }
  uint64_t reported() const { return reports.empty() ? 0 : reports.back().revision; }
};

// A node that follows a lane with some tokens, one of them deleted.
struct Following {
  Registry registry;
  Node node{registry};

  explicit Following(lane::LaneMode mode = lane::LaneMode::kPush) {
    node.options.mode = mode;
    for (int number = 0; number < 10; ++number) registry.add(alive(number));
    registry.add(dead(3));
    node.boot();
    node.connect();
    node.settle();
  }
};

}  // namespace notp::lane_world
