#include "notp-client/lane/table/token_table.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "notp-client/lane/table/inflate.hpp"
#include "notp-client/lane/table/list_shard.hpp"
#include "notp-client/lane/table/shard.hpp"
#include "notp-client/lane/table/table_limits.hpp"
#include "protocol/feed/feed_limits.hpp"

namespace notp::lane {

using feed::Event;
using feed::EventKey;
using feed::EventKind;
using feed::TokenId;
using feed::TokenRecord;
using rego::ShardKey;

namespace {

uint8_t shard_of(const TokenId& id) { return id.bytes[0] >> 2; }

// Rows are ascending by key.
bool has_row(const feed::Snapshot& snapshot, const EventKey& key) {
  return std::ranges::binary_search(snapshot.rows, key, {},
                                    [](const Event& row) { return feed::key_of(row); });
}

size_t changes_max(const TokenShard& shard) {
  return std::clamp(shard.base_tokens() / 8, limits::kShardChangesMin, limits::kShardChangesMax);
}

}  // namespace

class TokenTable::State {
 public:
  explicit State(TableOptions options) : options_(options) {}

  size_t apply(std::span<const Event> events);
  void begin_snapshot(uint64_t as_of);
  size_t apply_rows(const feed::Snapshot& snapshot);
  void end_snapshot();
  bool is_in_snapshot() const { return as_of_.has_value(); }
  void forget(std::span<const TokenId> ids);
  void clear();
  size_t expire(int64_t now_s);
  TableUpdate take_update();
  TableUpdate whole() const;

  std::optional<TokenRecord> find(const TokenId& id) const { return shard(id).record(id); }
  bool is_deleted(const TokenId& id) const {
    return shard(id).state(id).kind == TokenKind::kDeleted;
  }
  std::optional<int64_t> mark(const TokenId& key) const {
    const auto found = shard(key).mark(key);
    return found ? std::optional(found->not_before_s) : std::nullopt;
  }
  std::optional<StatusList> list(const TokenId& key) const {
    return lists_[shard_of(key)].find(key);
  }
  uint64_t memory_bytes() const;

  LaneReadout readout;
  size_t living = 0, deleted = 0, marks = 0, lists = 0;
  std::optional<Error> trouble;

 private:
  TokenShard& shard(const TokenId& id) { return tokens_[shard_of(id)]; }
  const TokenShard& shard(const TokenId& id) const { return tokens_[shard_of(id)]; }

  bool apply(const Event& event);  // false: refused
  bool put_token(const Event& event);
  void put_deleted(const Event& event);
  void put_mark(const Event& event);
  void put_list(const Event& event);
  void change_list(const TokenId& key, std::optional<StatusList> list);
  void drop_missing(const feed::Snapshot& snapshot);
  void drop_missing_tokens(const feed::Snapshot& snapshot, const std::optional<TokenId>& after,
                           const std::optional<TokenId>& last);
  void drop_missing_lists(const feed::Snapshot& snapshot, const std::optional<TokenId>& after,
                          const std::optional<TokenId>& last);
  void note(EventKind kind, const TokenId& id);
  size_t rewrite(uint8_t index);
  void rewrite_if_large(uint8_t index);
  std::optional<Event> event(const EventKey& key) const;
  void put_events(TableUpdate& update);

  const TableOptions options_;
  std::array<TokenShard, ShardKey::kCount> tokens_;
  std::array<ListShard, ShardKey::kCount> lists_;
  std::set<ShardKey> changed_;     // since the last update
  std::set<EventKey> keys_;        // the same, with with_events
  std::optional<uint64_t> as_of_;  // of the snapshot under way
  std::set<EventKey> touched_;     // by batches since it began
  int64_t now_s_ = INT64_MIN;
  uint8_t next_expired_ = 0;
};

void TokenTable::State::note(EventKind kind, const TokenId& id) {
  const auto of = kind == EventKind::kList ? ShardKey::Kind::kLists : ShardKey::Kind::kTokens;
  changed_.insert({of, shard_of(id)});
  if (options_.with_events) keys_.insert({kind, id});
}

bool TokenTable::State::put_token(const Event& event) {
  TokenShard& into = shard(event.id);
  const TokenState before = into.state(event.id);
  if (before.kind == TokenKind::kDeleted && before.end_s > now_s_) return true;
  if (before.kind == TokenKind::kLiving) {
    if (into.record(event.id) == event.record) return true;
  } else {
    if (living >= options_.tokens_max) return false;
    ++living;
    if (before.kind == TokenKind::kDeleted) {
      --deleted;
      note(EventKind::kDeleted, event.id);
    }
  }
  into.put_living(event.id, event.record);
  note(EventKind::kToken, event.id);
  return true;
}

void TokenTable::State::put_deleted(const Event& event) {
  TokenShard& into = shard(event.id);
  const TokenState before = into.state(event.id);
  if (before.kind == TokenKind::kDeleted && before.end_s >= event.until_s) return;
  living -= before.kind == TokenKind::kLiving ? 1 : 0;
  deleted += before.kind == TokenKind::kDeleted ? 0 : 1;
  into.put_deleted(event.id, event.until_s);
  note(EventKind::kDeleted, event.id);
}

void TokenTable::State::put_mark(const Event& event) {
  TokenShard& into = shard(event.id);
  const auto before = into.mark(event.id);
  Mark after{event.not_before_s, event.until_s};
  if (!before) ++marks;
  if (before && before->until_s > now_s_) {
    after.not_before_s = std::max(after.not_before_s, before->not_before_s);
    after.until_s = std::max(after.until_s, before->until_s);
    if (after == *before) return;
  }
  into.put_mark(event.id, after);
  note(EventKind::kMark, event.id);
}

void TokenTable::State::change_list(const TokenId& key, std::optional<StatusList> list) {
  ListShard& into = lists_[shard_of(key)];
  const bool had = into.find(key).has_value();
  if (!had && !list) return;
  const bool has = list.has_value();
  if (const auto written = into.change({{key, list}}); !written) {
    trouble = written.error();
    // An old list must not stay: what it calls valid may be revoked.
    if (!has || !had || !into.change({{key, std::nullopt}})) return;
    --lists;
  } else {
    lists = lists + (has ? 1 : 0) - (had ? 1 : 0);
  }
  note(EventKind::kList, key);
}

void TokenTable::State::put_list(const Event& event) {
  const ListShard& into = lists_[shard_of(event.id)];
  const auto before = into.find(event.id);
  uint64_t others = 0;
  for (const ListShard& each : lists_) others += each.statuses_bytes();
  others -= before ? before->statuses.size() : 0;
  auto statuses = inflate_list(
      event.list,
      std::min(limits::kStatusListInflatedMax,
               limits::kListsInflatedMax - std::min(others, limits::kListsInflatedMax)));
  if (statuses && lists >= limits::kStatusListsMax && !before)
    statuses = fail(ErrorCode::kLimit, "too many status lists");
  if (!statuses) {
    trouble = statuses.error();
    return change_list(event.id, std::nullopt);
  }
  const StatusList after{.bits = event.bits, .until_s = event.until_s, .statuses = *statuses};
  if (before && before->bits == after.bits && before->until_s == after.until_s &&
      before->statuses == after.statuses)
    return;
  change_list(event.id, after);
}

bool TokenTable::State::apply(const Event& event) {
  bool taken = true;
  switch (event.kind) {
    case EventKind::kToken:
      taken = put_token(event);
      break;
    case EventKind::kDeleted:
      put_deleted(event);
      break;
    case EventKind::kMark:
      put_mark(event);
      break;
    case EventKind::kList:
      put_list(event);
      return true;
  }
  rewrite_if_large(shard_of(event.id));
  return taken;
}

size_t TokenTable::State::apply(std::span<const Event> events) {
  size_t refused = 0;
  for (const Event& event : events) {
    if (as_of_) touched_.insert(feed::key_of(event));
    refused += apply(event) ? 0 : 1;
  }
  return refused;
}

void TokenTable::State::begin_snapshot(uint64_t as_of) {
  if (as_of_ == as_of) return;
  as_of_ = as_of;
  touched_.clear();
}

void TokenTable::State::end_snapshot() {
  as_of_.reset();
  touched_.clear();
}

size_t TokenTable::State::apply_rows(const feed::Snapshot& snapshot) {
  size_t refused = 0;
  for (const Event& row : snapshot.rows) {
    const bool is_revocation = row.kind == EventKind::kMark || row.kind == EventKind::kDeleted;
    // Of a batch and a row about one id, the batch is the newer one; what is revoked by either is.
    if (!is_revocation && touched_.contains(feed::key_of(row))) continue;
    refused += apply(row) ? 0 : 1;
  }
  drop_missing(snapshot);
  return refused;
}

void TokenTable::State::drop_missing(const feed::Snapshot& snapshot) {
  const std::optional<EventKey>&after = snapshot.after, &last = snapshot.last;
  for (const EventKind kind : {EventKind::kList, EventKind::kToken}) {
    if (after && after->kind > kind) continue;
    if (last && last->kind < kind) continue;
    const auto bound = [&](const std::optional<EventKey>& key) {
      return key && key->kind == kind ? std::optional(key->id) : std::nullopt;
    };
    if (kind == EventKind::kToken)
      drop_missing_tokens(snapshot, bound(after), bound(last));
    else
      drop_missing_lists(snapshot, bound(after), bound(last));
  }
}

void TokenTable::State::drop_missing_tokens(const feed::Snapshot& snapshot,
                                            const std::optional<TokenId>& after,
                                            const std::optional<TokenId>& last) {
  const uint8_t begin = after ? shard_of(*after) : 0;
  const uint8_t end = last ? shard_of(*last) : ShardKey::kCount - 1;
  for (uint8_t index = begin; index <= end; ++index) {
    for (const TokenId& id : tokens_[index].living(after, last)) {
      const EventKey key{EventKind::kToken, id};
      if (has_row(snapshot, key) || touched_.contains(key)) continue;
      tokens_[index].put_absent(id);
      --living;
      note(EventKind::kToken, id);
    }
    rewrite_if_large(index);
  }
}

void TokenTable::State::drop_missing_lists(const feed::Snapshot& snapshot,
                                           const std::optional<TokenId>& after,
                                           const std::optional<TokenId>& last) {
  for (const ListShard& each : lists_)
    for (const TokenId& key : each.keys())
      if ((!after || key > *after) && (!last || key <= *last) &&
          !has_row(snapshot, {EventKind::kList, key}) &&
          !touched_.contains({EventKind::kList, key}))
        change_list(key, std::nullopt);
}

void TokenTable::State::forget(std::span<const TokenId> ids) {
  for (const TokenId& id : ids) {
    if (shard(id).state(id).kind != TokenKind::kLiving) continue;
    shard(id).put_absent(id);
    --living;
    note(EventKind::kToken, id);
    rewrite_if_large(shard_of(id));
  }
}

size_t TokenTable::State::rewrite(uint8_t index) {
  auto ended = tokens_[index].rewrite(now_s_);
  if (!ended) {
    trouble = std::move(ended).error();
    return 0;
  }
  changed_.insert({ShardKey::Kind::kTokens, index});
  living -= ended->living;
  deleted -= ended->deleted;
  marks -= ended->marks;
  if (options_.with_events) keys_.insert(ended->keys.begin(), ended->keys.end());
  return ended->keys.size();
}

void TokenTable::State::rewrite_if_large(uint8_t index) {
  if (tokens_[index].changes() > changes_max(tokens_[index])) rewrite(index);
}

size_t TokenTable::State::expire(int64_t now_s) {
  now_s_ = std::max(now_s_, now_s);
  size_t freed = 0, written = 0;
  for (uint8_t i = 0; i < ShardKey::kCount && written < limits::kShardsExpiredAtOnce; ++i) {
    const uint8_t index = next_expired_;
    next_expired_ = (next_expired_ + 1) % ShardKey::kCount;
    for (const TokenId& key : lists_[index].ended(now_s_)) {
      change_list(key, std::nullopt);
      ++freed;
    }
    if (!tokens_[index].is_stale(now_s_)) continue;
    freed += rewrite(index);
    ++written;
  }
  return freed;
}

void TokenTable::State::clear() {
  if (options_.with_events) {
    for_each(whole(), [&](const Event& event) {
      keys_.insert(feed::key_of(event));
      return true;
    });
  }
  for (uint8_t index = 0; index < ShardKey::kCount; ++index) {
    changed_.insert({ShardKey::Kind::kTokens, index});
    changed_.insert({ShardKey::Kind::kLists, index});
  }
  tokens_ = {};
  lists_ = {};
  living = deleted = marks = lists = 0;
  end_snapshot();
}

std::optional<Event> TokenTable::State::event(const EventKey& key) const {
  switch (key.kind) {
    case EventKind::kToken:
      if (auto record = find(key.id)) return Event::token(key.id, *std::move(record));
      break;
    case EventKind::kDeleted:
      if (const TokenState state = shard(key.id).state(key.id); state.kind == TokenKind::kDeleted)
        return Event::deleted(key.id, state.end_s);
      break;
    case EventKind::kMark:
      if (const auto mark = shard(key.id).mark(key.id))
        return Event::mark(key.id, mark->not_before_s, mark->until_s);
      break;
    case EventKind::kList:
      if (const auto list = lists_[shard_of(key.id)].find(key.id))
        return Event::status_list(key.id, list->bits, Bytes(list->statuses), list->until_s);
      break;
  }
  return std::nullopt;
}

void TokenTable::State::put_events(TableUpdate& update) {
  for (const EventKey& key : keys_) {
    if (auto now = event(key))
      update.events.push_back(*std::move(now));
    else
      update.gone.push_back(key);
  }
  keys_.clear();
}

TableUpdate TokenTable::State::take_update() {
  for (uint8_t index = 0; index < ShardKey::kCount; ++index)
    if (tokens_[index].changes() > limits::kShardChangesSent) rewrite(index);
  TableUpdate update;
  update.feed.readout = readout;
  for (const ShardKey& key : std::exchange(changed_, {}))
    update.feed.shards.emplace(key, key.kind == ShardKey::Kind::kTokens
                                        ? tokens_[key.index].shared()
                                        : lists_[key.index].shared());
  put_events(update);
  return update;
}

TableUpdate TokenTable::State::whole() const {
  TableUpdate update;
  update.feed.is_whole = true;
  update.feed.readout = readout;
  const auto add = [&](ShardKey::Kind kind, uint8_t index, rego::TokenShard shard) {
    if (shard.base || shard.delta) update.feed.shards.emplace(ShardKey{kind, index}, shard);
  };
  for (uint8_t index = 0; index < ShardKey::kCount; ++index) {
    add(ShardKey::Kind::kTokens, index, tokens_[index].shared());
    add(ShardKey::Kind::kLists, index, lists_[index].shared());
  }
  return update;
}

uint64_t TokenTable::State::memory_bytes() const {
  uint64_t bytes = 0;
  for (const TokenShard& each : tokens_) bytes += each.memory_bytes();
  for (const ListShard& each : lists_) bytes += each.statuses_bytes();
  return bytes;
}

TokenTable::TokenTable(TableOptions options) : state_(std::make_unique<State>(options)) {}
TokenTable::~TokenTable() = default;
size_t TokenTable::apply(std::span<const Event> events) { return state_->apply(events); }
void TokenTable::begin_snapshot(uint64_t as_of) { state_->begin_snapshot(as_of); }
size_t TokenTable::apply_rows(const feed::Snapshot& snapshot) {
  return state_->apply_rows(snapshot);
}
void TokenTable::end_snapshot() { state_->end_snapshot(); }
bool TokenTable::is_in_snapshot() const { return state_->is_in_snapshot(); }
void TokenTable::forget(std::span<const TokenId> ids) { state_->forget(ids); }
void TokenTable::clear() { state_->clear(); }
void TokenTable::set_readout(LaneReadout readout) { state_->readout = std::move(readout); }
const LaneReadout& TokenTable::readout() const { return state_->readout; }
std::optional<TokenRecord> TokenTable::find(const TokenId& id) const { return state_->find(id); }
bool TokenTable::is_deleted(const TokenId& id) const { return state_->is_deleted(id); }
std::optional<int64_t> TokenTable::mark(const TokenId& key) const { return state_->mark(key); }
size_t TokenTable::tokens() const { return state_->living; }
size_t TokenTable::tombstones() const { return state_->deleted; }
size_t TokenTable::marks() const { return state_->marks; }
std::optional<StatusList> TokenTable::list(const TokenId& key) const { return state_->list(key); }
size_t TokenTable::lists() const { return state_->lists; }
uint64_t TokenTable::memory_bytes() const { return state_->memory_bytes(); }
std::optional<Error> TokenTable::take_trouble() { return std::exchange(state_->trouble, {}); }
size_t TokenTable::expire(int64_t now_s) { return state_->expire(now_s); }
TableUpdate TokenTable::take_update() { return state_->take_update(); }
TableUpdate TokenTable::whole() const { return state_->whole(); }

}  // namespace notp::lane
