// The sealed segments of a node's log, as those who ship them see them.
#pragma once

#include <functional>
#include <optional>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "notp-client/spool/receipt_book.hpp"
#include "protocol/record/segment.hpp"

namespace notp::spool {

// The state of a log for an offer.
struct SealedLog {
  record::LogId log;
  record::Position first = 0;  // of the oldest segment that is kept
  record::Position size = 0;   // records in sealed segments
  Hash root;                   // at that size
  Bytes announcement;          // as verify_announcement() reads it; empty: it is not signed yet
  TimeMs oldest_ms = 0;        // wall time of the oldest one that is not acknowledged; 0: none
  record::Position acknowledged = 0;
};

// A log that follows another one.
struct NewLog {
  record::LogId log;
  std::string kept;  // for a person: where the files of the log before are
};

// Thread-safe; answers from memory, but for segment(), which blocks on the disk.
class SegmentSource {
 public:
  virtual ~SegmentSource() = default;
  virtual SealedLog sealed() const = 0;
  // Returns the segment that holds the record at `position`; kNotFound: none that is kept does. One
  // that begins before what the registry has shows it that its copy of the log is another branch.
  virtual Result<record::Segment> segment(record::Position position) = 0;
  // Has what is recorded and in no segment yet sealed, now: blocks until it is durable. For those
  // who read the newest records. An error: the disk takes nothing.
  virtual Result<void> seal_now() { return {}; }
  // The registry has all records below `next` and no others, as it says now: fewer than before when
  // its store was put back to an older state. The last call counts; one thread calls. Segments
  // below it are kept a while, and then deleted; the others are kept, and count into the budget.
  virtual void acknowledged(record::Position next) = 0;
  // Whether the registry takes segments: then they are sealed sooner.
  virtual void connected(bool is_connected) = 0;
  // Called after each seal, and when another log is there, on a thread of the spool's or on that of
  // begin_new_log(). Set once, before the first seal.
  virtual void on_sealed(std::function<void()> sealed) = 0;
  // What is kept of the registry's tree; empty: nothing.
  virtual TreeState tree() const { return {}; }
  // What a Hello says of it: the tree and the size of the newest checkpoint that is kept.
  virtual std::pair<std::optional<record::LogId>, uint64_t> offered_tree() const { return {}; }
  // As witness() of receipt_book.hpp, for a receipt of this log. Blocks.
  virtual Result<wire::LogWitness> witness(const wire::LogReceipt& /*receipt*/,
                                           const ReceiptPeer& /*peer*/, TimeMs /*wall_ms*/) {
    return fail(ErrorCode::kState, "this log keeps nothing of the registry's tree");
  }
  // Ends the log, which the registry does not take any more, and begins one that names it and the
  // reason. What is not shipped stays in its files as evidence, and the new log counts it. Blocks
  // for the disk. An error: the log goes on, unless it says that there is none at the moment.
  virtual Result<NewLog> begin_new_log(std::string /*reason*/) {
    return fail(ErrorCode::kState, "this log cannot be followed by another one");
  }
};

}  // namespace notp::spool
