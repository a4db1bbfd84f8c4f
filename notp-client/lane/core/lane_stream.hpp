// Where a node is in the history of its lane, and what of that arrives continues it. Pure. One
// thread.
#pragma once

#include <algorithm>
#include <optional>

#include "notp-client/lane/core/lane_effect.hpp"

namespace notp::lane {

// What a statement is to a node.
enum class StreamStep : uint8_t {
  kApply,    // the next part
  kNothing,  // nothing new, or nothing that can be used yet
  kAgain,    // something between this node and it is missing
};

class LaneStream {
 public:
  // `pushes`: tokens come without being asked for. When `stored` lacks them, a snapshot of the
  // tokens alone begins.
  LaneStream(const LaneMarks& stored, bool pushes);

  // All revocations up to `whole()` are here.
  bool is_complete() const { return whole_.has_value() && !trails_; }
  const std::optional<wire::LanePosition>& whole() const { return whole_; }
  bool is_in_snapshot() const { return snapshot_.has_value(); }
  // Tokens up to whole() are here as well.
  bool has_tokens() const { return whole_ && !(snapshot_ && snapshot_->is_of_tokens); }
  // The registry's newest revision, by its answer or a statement not older than those before.
  void on_head(uint64_t head) {
    head_ = std::max(head_.value_or(0), head);
    trails_ &= !has_all();
  }
  // Whether all revocations up to whole() are here, as far as is known since the start: a part of
  // the history that the registry reads from its store lacks what a later part has again.
  bool has_all() const;
  // Whether nothing of what the registry had at `head` is missing, except tokens after a restart.
  bool is_current(uint64_t head) const;
  // What to subscribe with.
  void describe(wire::LaneSubscribe& subscribe) const;

  // The history whose statements will come. False: it is another one than this node's, and a
  // snapshot of it should come by itself.
  bool on_granted(const wire::LanePosition& granted);
  // Wants everything anew, because of a hole in what is stored; `is_lost`: or in what is here.
  void want_snapshot(bool is_lost);

  // Statements of the granted history. kRollback: it says that less has happened than this node
  // knows, and was signed later (after `signed_ms`).
  Result<StreamStep> on_batch(const feed::Batch& batch, TimeMs signed_ms);
  // Without `after`, a snapshot begins with it.
  Result<StreamStep> on_snapshot(const feed::Snapshot& snapshot, TimeMs signed_ms);
  // The last part of the snapshot is here.
  void end_snapshot();

 private:
  struct InSnapshot {
    wire::LanePosition position;
    bool has_begun = false;
    bool is_of_tokens = false;            // revocations are those of whole_
    std::optional<feed::EventKey> after;  // what is here of it
  };

  Result<void> check_history(const feed::LaneHeader& header, TimeMs signed_ms) const;
  bool is_of_whole(const feed::LaneHeader& header) const;

  std::optional<wire::LanePosition> whole_;
  std::optional<InSnapshot> snapshot_;
  std::optional<uint64_t> head_;
  // The first snapshot was made before this node followed: what was revoked then still follows.
  bool trails_ = false;
};

}  // namespace notp::lane
