// The end of a log that is in no segment yet: gives out positions, writes the ring, decides what
// happens while there is no room.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "common/mutex.hpp"
#include "notp-client/spool/backlog.hpp"
#include "notp-client/spool/decision_log.hpp"
#include "notp-client/spool/spool_options.hpp"
#include "notp-client/spool/wakeup.hpp"

namespace notp::spool {

inline constexpr const char* kRingFile = "decisions.ring";
// Room that a start needs for the records of the log itself.
inline constexpr uint64_t kOwnRecordsBytes = 64 << 10;
// Whose ACTIVE record is remembered: answers under way may still need the sets before the newest.
inline constexpr size_t kActiveSetsKept = 8;
inline constexpr size_t kGapReasons = 6;  // by number; 0 is none

// Where a run begins.
struct TailStart {
  record::LogId log;
  uint32_t run = 0;
  std::filesystem::path folder;
  std::shared_ptr<RingFile> ring;  // durable, with the header of this run
  uint64_t head = 0;               // offset of the oldest live frame
  RingPlace end;                   // of the next frame
  Backlog backlog;
  uint64_t unrecorded = 0;  // decisions that a gap record must still count
};

// Whether a decision is refused rather than given unrecorded, while there is no room.
bool must_be_recorded(const Entry& entry, WhenFull when_full);
// How many decisions are missing without this entry.
uint64_t decisions_in(const Entry& entry);
// kAuditUnavailable, for a person.
std::unexpected<Error> not_recorded_because(std::string_view why);

// What one sync makes durable.
struct SyncGoal {
  std::shared_ptr<RingFile> ring;
  RingHeader header;  // written before it
};

struct TailStatus {
  record::Position next = 0;
  uint64_t ring_bytes = 0;
  int64_t oldest_ns = 0;  // 0: the ring is empty
  bool is_full = false, is_failing = false;
  std::string trouble;
  uint64_t recorded = 0, refused = 0, lost = 0;
  std::array<uint64_t, kGapReasons> gaps{};  // gap records, by reason
};

// Thread-safe.
class LogTail {
 public:
  // Signals `sealer` when a segment is full, and when the first record of one was written; `syncer`
  // likewise for syncs.
  LogTail(TailStart start, const SpoolOptions& options, Wakeup& sealer, Wakeup& syncer);

  // As DecisionLog::append(), and kState. Returns the position.
  Result<std::optional<record::Position>> append(const Entry& entry);
  // Writes a record of the log itself. kAuditUnavailable: there is no room in the ring. kState: a
  // RunEnd was written, which is the last one.
  Result<record::Position> append_own(const record::Content& content);
  // Writes the gap record that counts what was given unrecorded, if there is room.
  void record_unrecorded();
  bool has_unrecorded() const;
  // Afterwards append() refuses. False: it did already.
  bool close();
  // Afterwards append() says kState: the entry belongs into the log that follows. resume() takes
  // that back.
  void end();
  void resume();
  // Decisions that were given before this log took any.
  void add_unrecorded(uint64_t count);

  // --- for the sealer
  // Returns the oldest records, as many as one segment takes.
  std::vector<UnsealedPtr> oldest() const;
  record::Position next() const;
  // Whether there are enough for a segment.
  bool is_segment_full() const;
  // Forgets the records below `end`, which are in a durable segment, and frees their space.
  void release(record::Position end);
  void set_unacknowledged_bytes(uint64_t bytes) { unacknowledged_bytes_ = bytes; }

  // --- for the syncer
  record::Position synced() const;
  bool is_sync_failed() const;
  // Records that no sync covers.
  uint64_t unsynced() const;
  // nullopt: nothing is new, or the ring is given up.
  std::optional<SyncGoal> begin_sync();
  void sync_succeeded(const SyncGoal& due);
  void sync_failed(std::string trouble);
  // Makes a new ring, moves the backlog to it and makes it durable. kIo: there is none yet.
  Result<void> replace_ring();

  TailStatus status() const;

 private:
  // Empty: there is room.
  std::string_view no_room(uint64_t bytes, bool is_strict, bool for_log_itself) const
      NOTP_REQUIRES(mutex_);
  Result<record::Position> write(record::Kind kind, int64_t time_ns, record::Position active,
                                 ByteView content) NOTP_REQUIRES(mutex_);
  Result<void> write_gap() NOTP_REQUIRES(mutex_);
  Result<record::Position> write_entry(const Entry& entry, const Bytes& content,
                                       const Bytes& active) NOTP_REQUIRES(mutex_);
  // 0: without a set.
  Result<record::Position> active_position(const Entry& entry, const Bytes& encoded)
      NOTP_REQUIRES(mutex_);
  bool is_active_written(const ActiveSetPtr& active) const NOTP_REQUIRES(mutex_);
  Result<std::optional<record::Position>> not_recorded(const Entry& entry, std::string_view why)
      NOTP_REQUIRES(mutex_);
  void count_unrecorded(uint64_t count) NOTP_REQUIRES(mutex_);
  bool has_segment() const NOTP_REQUIRES(mutex_);
  void signal_threads() NOTP_REQUIRES(mutex_);

  const SpoolOptions options_;
  const std::filesystem::path folder_;
  const record::LogId log_;
  const uint32_t run_;
  Wakeup& sealer_;
  Wakeup& syncer_;
  std::atomic<uint64_t> unacknowledged_bytes_ = 0;

  mutable Mutex mutex_;
  struct Ring {
    std::shared_ptr<RingFile> file;
    uint64_t head = 0;
    RingPlace end;
    uint64_t used() const { return end.offset - head; }
  };
  Ring ring_ NOTP_GUARDED_BY(mutex_);
  struct Waiting {
    Backlog records;
    uint64_t bytes = 0;
    bool is_signalled = false;  // the sealer knows that a segment is due
  };
  Waiting backlog_ NOTP_GUARDED_BY(mutex_);
  struct Synced {
    record::Position position = 0;  // all below it is durable
    record::Position lease = 0;
    bool unrecorded_is_new = false;
    bool has_failed = false;  // and the ring was not replaced yet
  };
  Synced synced_ NOTP_GUARDED_BY(mutex_);
  std::deque<std::pair<ActiveSetPtr, record::Position>> active_ NOTP_GUARDED_BY(mutex_);
  uint64_t unrecorded_ NOTP_GUARDED_BY(mutex_) = 0;
  enum class Stage : uint8_t { kOpen, kEnded, kClosed };
  struct Life {
    Stage stage = Stage::kOpen;
    bool is_over = false;  // its last record, a RunEnd, is written
  };
  Life life_ NOTP_GUARDED_BY(mutex_);
  TailStatus status_ NOTP_GUARDED_BY(mutex_);  // counters and trouble
};

}  // namespace notp::spool
