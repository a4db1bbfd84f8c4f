// The tokens, revocations and status lists of a node's lane, in memory that its PDP's processes
// share. README.md.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/rego/token_update.hpp"
#include "notp-client/lane/table/segment.hpp"
#include "protocol/feed/lane_event.hpp"
#include "protocol/feed/lane_statement.hpp"

namespace notp::lane {

using rego::LaneContact;
using rego::LaneMode;
using rego::LaneReadout;

// What a PDP lacks. Embedded PDPs use `feed`, all others `events` and `gone`.
struct TableUpdate {
  rego::TokenUpdate feed;
  // With TableOptions::with_events, and unless feed.is_whole (then for_each() has all of it): the
  // new state of what has changed, the newest one of each id. A tombstone also ends its token; a
  // list is inflated, as for_each() gives it.
  std::vector<feed::Event> events;
  std::vector<feed::EventKey> gone;  // what has ended, or a snapshot lacks
};

// Calls `visit` with everything that an update with feed.is_whole has: marks, lists (inflated: the
// event's `list` has one status after the other, not ZLIB), tombstones and tokens of each shard.
// False ends it. Thread-safe.
void for_each(const TableUpdate& whole, const std::function<bool(const feed::Event&)>& visit);

struct TableOptions {
  bool with_events = false;
  size_t tokens_max = 20'000'000;  // living ones; more are refused, revocations never
};

// One thread. Memory: one copy of everything, 50 bytes and the unusual attributes for each token,
// plus at most 1,024 changes for each of 64 shards.
class TokenTable {
 public:
  explicit TokenTable(TableOptions options = {});
  ~TokenTable();
  TokenTable(const TokenTable&) = delete;
  TokenTable& operator=(const TokenTable&) = delete;

  // The newest events, in their order. A token that was deleted is not added again while its
  // tombstone stands; a mark never moves back. Events that have not passed Event::check() may be
  // applied. Returns how many tokens were refused because of `tokens_max`.
  size_t apply(std::span<const feed::Event> events);

  // From begin to end, rows of a snapshot may arrive between batches. An id that a batch has
  // brought since then keeps the batch's state. Tokens and lists that a snapshot lacks in its range
  // are gone; tombstones and marks stay until they end. Beginning again with the same `as_of`
  // continues, with another one starts again.
  void begin_snapshot(uint64_t as_of);
  size_t apply_rows(const feed::Snapshot& snapshot);  // as apply()
  void end_snapshot();
  bool is_in_snapshot() const;

  // These tokens are unknown from now on, unless they are deleted.
  void forget(std::span<const feed::TokenId> ids);
  // Forgets everything, also revocations.
  void clear();
  void set_readout(LaneReadout readout);
  const LaneReadout& readout() const;

  // What is held, also if it has ended or is revoked by a mark. `find` is nullopt for a deleted
  // one.
  std::optional<feed::TokenRecord> find(const feed::TokenId& id) const;
  bool is_deleted(const feed::TokenId& id) const;
  // The time up to which what was issued is revoked.
  std::optional<int64_t> mark(const feed::TokenId& key) const;
  // Of its URI's id. Its statuses live until the next change of the table.
  std::optional<StatusList> list(const feed::TokenId& key) const;
  // Counts include what has ended and was not freed yet.
  size_t tokens() const;
  size_t tombstones() const;
  size_t marks() const;
  size_t lists() const;
  uint64_t memory_bytes() const;
  // Why a file could not be written, or a status list not be kept (it counts as missing then),
  // since the last call; nullopt: nothing of that happened. Tokens and revocations are never lost
  // to it.
  std::optional<Error> take_trouble();

  // Frees what has ended at `now_s` (trusted time), at least when a sixteenth of a shard has; at
  // most some shards in one call, so that it stays short. Call it every second or so. Lookups do
  // not depend on it. Returns how many entries were freed.
  size_t expire(int64_t now_s);

  // What has changed since the last call, for PDPs that got all updates before.
  TableUpdate take_update();
  // Everything, for a PDP that starts. Changes that take_update() has not returned yet are in it,
  // and will be in the next update again.
  TableUpdate whole() const;

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace notp::lane
