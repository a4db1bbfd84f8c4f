// Takes records out of the store: what goes is stated in the registry's tree first, then its bytes
// go. A crash in between is made up for: a statement may be repeated, and no byte goes without one.
#pragma once

#include <mutex>
#include <vector>

#include "notp-server/audit/day_files.hpp"
#include "notp-server/audit/holds.hpp"
#include "notp-server/audit/tree_sink.hpp"

namespace notp::audit {

// A removal, and what says why. `positions` empty: the whole segment.
struct PlannedRemoval {
  uint64_t key = 0;
  record::TreeEntry entry;
};

// A statement about records of a segment, of which what is common to all kinds is filled in.
// `records` are all of it. `is_whole`: it is about the whole segment, and `positions` count for
// nothing.
Result<record::TreeEntry> removal_entry(record::TreeEntryKind kind, const SegmentRow& row,
                                        const StoredRecords& records,
                                        std::vector<record::Position> positions, bool is_whole);

// Thread-safe. Blocking. While one thread has the turn, nobody else places a hold or removes
// anything, so that what it finds to be free of holds stays so until it is gone.
class Removals {
 public:
  // Both outlive it.
  Removals(DayFiles& store, TreeSink& tree);

  // One thread at a time, from its begin to its end.
  class Turn {
   public:
    // Finishes what a crash has left, if nobody has. kIo.
    static Result<Turn> begin(Removals& removals, TimeMs now_ms);
    Holds& holds() { return removals_->holds_; }
    // kIo, kCorrupt: what was stated is repeated by the next process. kCancelled: the registry
    // stops.
    Result<void> run(const std::vector<PlannedRemoval>& planned) { return removals_->run(planned); }

   private:
    explicit Turn(Removals& removals) : removals_(&removals), lock_(removals.turn_) {}
    Removals* removals_;
    std::unique_lock<std::mutex> lock_;
  };
  DayFiles& store() { return store_; }

 private:
  Result<void> finish_begun();
  Result<void> run(const std::vector<PlannedRemoval>& planned);

  DayFiles& store_;
  TreeSink& tree_;
  const HoldsTable table_;
  std::mutex turn_;
  // Of who has the turn.
  Holds holds_;
  bool has_finished_begun_ = false;
};

}  // namespace notp::audit
