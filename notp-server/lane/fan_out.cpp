#include "notp-server/lane/fan_out.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane/row_counts.hpp"
#include "protocol/feed/feed_limits.hpp"

namespace notp::lane {

using feed::EventKey;
using feed::EventKind;

// Readers that see the same.
struct FanOut::Group {
  explicit Group(GrantView view) : view(std::move(view)) {}

  const GrantView view;
  uint64_t revision = 0;  // sent to its readers
  size_t joined = 0;
  // The last batches, without gaps, for readers that fall behind.
  std::deque<Statement> ring;
  size_t ring_bytes = 0;
  TimeMs ring_signed_ms = 0;  // wall time: the latest of theirs
  TimeMs heartbeat_ms = 0;    // boot time
  // New snapshots share pages that begin here, until then.
  uint64_t as_of = 0;
  TimeMs as_of_until_ms = 0;  // boot time
};

struct FanOut::Reader {
  enum class State : uint8_t {
    kFirstPage,  // it gets the first page of a snapshot, from which on batches make sense
    kCatchingUp,
    kJoined,
    kBehind,
  };
  struct Snapshot {
    uint64_t as_of = 0;
    std::optional<EventKey> after;
  };

  ReaderKey key;
  std::shared_ptr<Group> group;
  State state = State::kCatchingUp;
  uint64_t revision = 0;    // it was given batches up to here, unless it is joined
  uint64_t begin = 0;       // the same when its stream began: what came then may not have arrived
  bool is_greeted = false;  // it was given a statement, which says how old the lane is
  std::optional<Snapshot> snapshot;
  std::optional<Snapshot> page;  // the same with the page that is under way
  bool is_last_page = false;     // and that page is the last one
  bool is_waiting = false;       // for drained(), or in pages_due_
  std::optional<wire::LaneApplied> applied;
};

FanOut::FanOut(LaneName name, std::vector<Grant> grants, EventStore& store, const PrivateKey& key,
               size_t unsent_max)
    : maker_(std::move(name), store, key),
      grants_(std::move(grants)),
      at_once_bytes_(unsent_max / 2),
      store_(store) {}

FanOut::~FanOut() = default;

// --- events of sessions

FanOut::Reader* FanOut::find(ReaderKey key) {
  const auto found = readers_.find(key.number);
  return found == readers_.end() || found->second.key != key ? nullptr : &found->second;
}

std::shared_ptr<FanOut::Group> FanOut::group_of(const Grant& grant, wire::LaneMode mode) {
  GrantView view(maker_.name().lane, grant, mode);
  std::weak_ptr<Group>& known = groups_[view.id()];
  if (auto group = known.lock()) return group;
  auto group = std::make_shared<Group>(std::move(view));
  known = group;
  return group;
}

void FanOut::subscribe(ReaderKey key, const session::Identity& identity,
                       const wire::LaneSubscribe& wanted, Now now) {
  closed(key.number);
  const Grant* const grant = find_grant(grants_, identity);
  if (grant == nullptr)
    return refuse(key, wanted.lane,
                  {ErrorCode::kDenied,
                   fmt::format("no grant of lane {} is for {}: name it under lanes.lanes, grants, "
                               "nodes",
                               maker_.name().lane, identity.short_text()),
                   {}});
  Reader& reader = readers_[key.number];
  reader.key = key;
  reader.group = group_of(*grant, wanted.mode);
  tell(reader, false);
  const StoreState& state = store_.state();
  if (wanted.position && wanted.position->instance == state.instance &&
      wanted.position->revision > state.head)
    ahead_ = Ahead{identity.short_text(), wanted.position->revision};
  start(reader, wanted, now);
}

void FanOut::restart(Now now) {
  std::set<uint64_t> in_line;
  for (const ReaderKey& key : pages_due_) in_line.insert(key.number);
  pages_due_.clear();
  pages_ = PageCache();
  gathering_ = {};  // the snapshots have it
  for (const auto& [id, known] : groups_)
    if (const auto group = known.lock()) group->joined = 0, group->as_of_until_ms = 0;
  for (auto& [number, reader] : readers_) {
    const bool is_draining = reader.is_waiting && !in_line.contains(number);
    reader.page.reset();
    reader.applied.reset();
    reader.is_last_page = reader.is_greeted = false;
    begin_snapshot(reader, now);
    tell(reader, false);
    reader.is_waiting = is_draining;
    if (is_draining)
      reader.state = Reader::State::kBehind;
    else
      advance(reader, now);
  }
}

// A node goes on where it is if nothing is missing between that and the head.
void FanOut::start(Reader& reader, const wire::LaneSubscribe& wanted, Now now) {
  const StoreState& state = store_.state();
  const auto& at = wanted.position;
  const bool goes_on = at && at->instance == state.instance &&
                       at->grant == reader.group->view.id() && at->revision >= state.compacted &&
                       at->revision <= state.head && (!wanted.snapshot || wanted.after);
  if (!goes_on) {
    begin_snapshot(reader, now);
  } else {
    reader.revision = reader.begin = at->revision;
    if (wanted.snapshot) reader.snapshot = {.as_of = at->revision, .after = wanted.after};
  }
  advance(reader, now);
}

void FanOut::begin_snapshot(Reader& reader, Now now) {
  Group& group = *reader.group;
  if (now.boot_ms >= group.as_of_until_ms || group.as_of < store_.state().compacted) {
    group.as_of = store_.state().head;
    group.as_of_until_ms = now.boot_ms + kPageLifeMs;
  }
  reader.state = Reader::State::kFirstPage;
  reader.revision = reader.begin = group.as_of;
  reader.snapshot = {.as_of = group.as_of, .after = {}};
}

void FanOut::fell_behind(ReaderKey key, uint64_t revision, Now) {
  const auto found = readers_.find(key.number);
  if (found == readers_.end()) return;
  Reader& reader = found->second;
  if (reader.state == Reader::State::kJoined) --reader.group->joined;
  reader.key = key;
  reader.revision = reader.begin = std::max(reader.begin, revision);
  reader.page.reset();
  reader.is_last_page = false;
  reader.state = Reader::State::kBehind;
  reader.is_waiting = true;
  tell(reader, true);
}

void FanOut::drained(ReaderKey key, Now now) {
  Reader* const reader = find(key);
  if (reader == nullptr) return;
  reader->is_waiting = false;
  if (reader->page) {
    reader->snapshot = std::exchange(reader->page, std::nullopt);
    if (std::exchange(reader->is_last_page, false)) reader->snapshot.reset();
  }
  if (reader->state == Reader::State::kBehind) {
    const bool has_page = !reader->snapshot || reader->snapshot->after;
    reader->state = has_page ? Reader::State::kCatchingUp : Reader::State::kFirstPage;
    tell(*reader, false);
  } else if (reader->state == Reader::State::kFirstPage) {
    reader->state = Reader::State::kCatchingUp;
  }
  advance(*reader, now);
}

void FanOut::ask(ReaderKey key, const std::vector<feed::TokenId>& ids, Now now) {
  Reader* const reader = find(key);
  if (reader == nullptr) return;
  for (const feed::TokenId& id : ids) {
    auto answer = maker_.answer(reader->group->view, id, now);
    if (!answer) return fail_reader(key.number, answer.error());
    has_read();
    effects_.emplace_back(
        lane_effect::ToReader{.reader = key, .frame = std::move(answer->frame), .is_answer = true});
  }
}

void FanOut::applied(ReaderKey key, const wire::LaneApplied& applied) {
  // No node is ahead of its registry: one that says so speaks of another history.
  if (applied.revision > store_.state().head) return;
  if (Reader* const reader = find(key)) reader->applied = applied;
}

void FanOut::closed(uint64_t number) {
  const auto found = readers_.find(number);
  if (found == readers_.end()) return;
  const std::shared_ptr<Group> group = found->second.group;
  if (found->second.state == Reader::State::kJoined) --group->joined;
  readers_.erase(found);
  if (group.use_count() == 1) groups_.erase(group->view.id());
}

// --- what one reader gets next

// Decides the next step of a reader that is not waiting for something.
void FanOut::advance(Reader& reader, Now now) {
  if (reader.is_waiting) return;
  if (reader.state == Reader::State::kCatchingUp) catch_up(reader, now);
  if (reader.is_waiting || (reader.state == Reader::State::kJoined && !reader.snapshot)) return;
  reader.is_waiting = true;
  pages_due_.push_back(reader.key);
}

// Sends what the ring has, and joins the group if nothing lies between.
void FanOut::catch_up(Reader& reader, Now now) {
  Group& group = *reader.group;
  if (group.joined == 0) {
    // What its readers had is no longer followed; the store has it.
    group.ring.clear();
    group.ring_bytes = 0;
    group.revision = store_.state().head;
    group.heartbeat_ms = now.boot_ms + limits::kLaneHeartbeatMs;
  }
  // The clock was set back: nodes refuse what was signed ahead of it, and the store has it.
  if (group.ring_signed_ms > now.wall_ms) {
    group.ring.clear();
    group.ring_bytes = 0;
    group.ring_signed_ms = 0;
  }
  const auto continues = [&](const Statement& statement) {
    return statement.from <= reader.revision && statement.to > reader.revision;
  };
  // Less than makes a session drop it all: else it would begin again with the same statements.
  size_t bytes = 0;
  for (auto at = std::ranges::find_if(group.ring, continues); at != group.ring.end(); ++at) {
    if (bytes != 0 && bytes + at->frame->size() > at_once_bytes_) {
      std::get<lane_effect::ToReader>(effects_.back()).is_page = true;
      reader.is_waiting = true;
      return;
    }
    bytes += at->frame->size();
    reader.revision = at->to;
    reader.is_greeted = true;
    effects_.emplace_back(
        lane_effect::ToReader{.reader = reader.key, .frame = at->frame, .to = at->to});
  }
  if (reader.revision < group.revision || !reader.is_greeted) return;
  ++group.joined;
  reader.state = Reader::State::kJoined;
  effects_.emplace_back(lane_effect::Join{reader.key, group.view.id()});
}

void FanOut::work(Now now) {
  while (!pages_due_.empty()) {
    const ReaderKey key = pages_due_.front();
    pages_due_.pop_front();
    if (Reader* const reader = find(key)) return make_page(*reader, now);
  }
}

void FanOut::make_page(Reader& reader, Now now) {
  const bool is_tail = reader.state == Reader::State::kCatchingUp;
  PageKey key{.grant = reader.group->view.id(),
              .is_snapshot = !is_tail,
              .revision = reader.revision,
              .after = {}};
  if (!is_tail) {
    key.revision = reader.snapshot->as_of;
    key.after = reader.snapshot->after;
  }
  const Statement* found = pages_.find(key, now);
  if (found == nullptr) {
    auto made = is_tail ? maker_.tail(reader.group->view, key.revision, now)
                        : maker_.snapshot(reader.group->view, key.revision, key.after, now);
    // It was compacted meanwhile.
    if (!made && made.error().code == ErrorCode::kConflict) {
      reader.is_waiting = false;
      begin_snapshot(reader, now);
      return advance(reader, now);
    }
    if (!made) return fail_reader(reader.key.number, made.error());
    has_read();
    found = &pages_.put(key, *std::move(made), now);
  }
  reader.is_greeted = true;
  is_tail ? send_tail(reader, *found) : send_snapshot(reader, *found);
}

void FanOut::send_tail(Reader& reader, const Statement& statement) {
  reader.revision = std::max(reader.revision, statement.to);
  effects_.emplace_back(lane_effect::ToReader{
      .reader = reader.key, .frame = statement.frame, .to = statement.to, .is_page = true});
}

void FanOut::send_snapshot(Reader& reader, const Statement& statement) {
  reader.page = {.as_of = reader.snapshot->as_of, .after = statement.last};
  reader.is_last_page = !statement.last;
  effects_.emplace_back(lane_effect::ToReader{
      .reader = reader.key, .frame = statement.frame, .is_bulk = true, .is_page = true});
}

void FanOut::tell(const Reader& reader, bool is_behind) {
  const StoreState& state = store_.state();
  effects_.emplace_back(lane_effect::Tell{reader.key,
                                          {.lane = maker_.name().lane,
                                           .code = 0,
                                           .message = {},
                                           .instance = state.instance,
                                           .grant = reader.group->view.id(),
                                           .head = state.head,
                                           .too_slow = is_behind}});
}

void FanOut::refuse(ReaderKey reader, const std::string& lane, const Error& error) {
  effects_.emplace_back(lane_effect::Tell{
      reader, {.lane = lane, .code = static_cast<uint32_t>(error.code), .message = error.message}});
}

void FanOut::has_read() {
  if (!reads_) reads_ = Result<void>();
}

// It may subscribe again.
void FanOut::fail_reader(uint64_t number, const Error& error) {
  reads_ = std::unexpected(error);
  const auto found = readers_.find(number);
  if (found == readers_.end()) return;
  refuse(found->second.key, maker_.name().lane,
         {ErrorCode::kUnavailable, "the registry cannot read its lane", {}});
  closed(number);
}

// --- batches

// Between the two limits, in proportion to the readers.
TimeMs FanOut::gather_ms() const {
  const size_t readers = std::clamp(readers_.size(), kFewReaders, kManyReaders);
  return kGatherMsMin + (kGatherMsMax - kGatherMsMin) * static_cast<TimeMs>(readers - kFewReaders) /
                            static_cast<TimeMs>(kManyReaders - kFewReaders);
}

// Only what lets a token in waits for others: what ends one leaves as soon as the batch before is
// out.
void FanOut::committed(std::vector<Row> rows, Now now) {
  bool is_urgent = false;
  for (Row& row : rows) {
    const EventKey key = key_of(row.event);
    is_urgent = is_urgent || key.kind != EventKind::kToken || row.replaced;
    if (key.kind == EventKind::kDeleted) {
      const auto token = gathering_.newest.find({EventKind::kToken, key.id});
      if (token != gathering_.newest.end()) {
        gathering_.rows.erase(token->second);
        gathering_.newest.erase(token);
      }
    }
    const auto before = gathering_.newest.find(key);
    if (before != gathering_.newest.end()) gathering_.rows.erase(before->second);
    gathering_.newest[key] = row.revision;
    gathering_.bytes += bytes_of(row.event);
    gathering_.rows.emplace(row.revision, std::move(row));
  }
  if (gathering_.rows.empty()) return;
  const bool is_much = gathering_.bytes > kBatchPlainBytes / 2 ||
                       gathering_.rows.size() >= limits::kLaneBatchEventsMax;
  if (is_much) return flush(now);
  const TimeMs wanted_ms = is_urgent ? now.boot_ms : now.boot_ms + gather_ms();
  gathering_.due_ms = std::max(std::min(gathering_.due_ms, wanted_ms), free_ms_);
  if (gathering_.due_ms <= now.boot_ms) flush(now);
}

// Until the writes of a batch are done: what comes meanwhile shares the next ones.
TimeMs FanOut::writing_ms() const {
  return std::min(static_cast<TimeMs>(readers_.size() / kWritesOfMs), kGatherMsMax);
}

void FanOut::flush(Now now) {
  std::vector<Row> rows;
  for (auto& [revision, row] : gathering_.rows) rows.push_back(std::move(row));
  gathering_ = {};
  if (!rows.empty()) free_ms_ = now.boot_ms + writing_ms();
  for (auto& [id, known] : groups_)
    if (const auto group = known.lock(); group && group->joined > 0) flush(*group, rows, now);
}

void FanOut::flush(Group& group, std::span<const Row> rows, Now now) {
  // A group that began meanwhile had the first of them from the store.
  const auto is_new = [&](const Row& row) { return row.revision > group.revision; };
  const auto first = std::ranges::find_if(rows, is_new);
  rows = rows.subspan(static_cast<size_t>(first - rows.begin()));
  if (rows.empty()) return;
  for (Statement& statement :
       maker_.batches(group.view, rows, group.revision, store_.state().head, now))
    send(group, std::move(statement), now);
}

void FanOut::send(Group& group, Statement statement, Now now) {
  effects_.emplace_back(
      lane_effect::ToGroup{.group = group.view.id(), .frame = statement.frame, .to = statement.to});
  group.revision = statement.to;
  group.heartbeat_ms = now.boot_ms + limits::kLaneHeartbeatMs;
  if (statement.from == statement.to) return;
  group.ring_signed_ms = std::max(group.ring_signed_ms, now.wall_ms);
  group.ring_bytes += statement.frame->size();
  group.ring.push_back(std::move(statement));
  const size_t share = kRingBytesMax / std::max<size_t>(groups_.size(), 1);
  while (group.ring_bytes > share && !group.ring.empty()) {
    group.ring_bytes -= group.ring.front().frame->size();
    group.ring.pop_front();
  }
}

// --- time

TimeMs FanOut::next_deadline() const {
  TimeMs next = gathering_.due_ms;
  for (const auto& [id, known] : groups_)
    if (const auto group = known.lock(); group && group->joined > 0)
      next = std::min(next, group->heartbeat_ms);
  return next;
}

void FanOut::on_deadline(Now now) {
  if (now.boot_ms >= gathering_.due_ms) flush(now);
  for (auto& [id, known] : groups_) {
    const auto group = known.lock();
    if (!group || group->joined == 0 || now.boot_ms < group->heartbeat_ms) continue;
    // What is gathered is not in a batch of any group: a heartbeat says that nothing else is.
    flush(now);
    if (now.boot_ms >= group->heartbeat_ms)
      send(*group, maker_.heartbeat(group->view, group->revision, store_.state().head, now), now);
  }
}

std::vector<LaneEffect> FanOut::take_effects() { return std::exchange(effects_, {}); }

// --- counts

ReaderCounts FanOut::counts() const {
  ReaderCounts out;
  uint64_t least = UINT64_MAX;
  for (const auto& [number, reader] : readers_) {
    ++out.nodes;
    out.too_slow += static_cast<uint64_t>(reader.state == Reader::State::kBehind);
    out.snapshots += static_cast<uint64_t>(reader.snapshot.has_value());
    if (!reader.applied) continue;
    ++out.reported;
    least = std::min(least, reader.applied->revision);
    out.live += static_cast<uint64_t>(reader.applied->age == wire::LaneAge::kLive);
    out.lagging += static_cast<uint64_t>(reader.applied->age == wire::LaneAge::kLagging);
    out.stale += static_cast<uint64_t>(reader.applied->age == wire::LaneAge::kStale);
  }
  if (out.nodes > 0 && out.reported == out.nodes) out.applied_min = least;
  return out;
}

uint64_t FanOut::applied_at(uint64_t revision) const {
  return static_cast<uint64_t>(std::ranges::count_if(readers_, [&](const auto& entry) {
    return entry.second.applied && entry.second.applied->revision >= revision;
  }));
}

}  // namespace notp::lane
