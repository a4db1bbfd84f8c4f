// The sealed segments of a log, and the log itself, in spool.db. README.md has its tables.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "notp-client/spool/receipt_rows.hpp"
#include "notp-client/spool/ring_file.hpp"
#include "protocol/record/segment.hpp"

namespace notp::spool {

inline constexpr const char* kTableFile = "spool.db";

// What is kept of a log beside its segments: one row, written with each segment.
struct LogState {
  std::string key_pem;  // PKCS #8
  std::string trust_domain;
  std::string node;  // SPIFFE id; empty: not known yet, and nothing is sealed
  TimeMs created_ms = 0;
  std::optional<record::LogId> previous;
  std::string reason;  // why it was begun; empty: it is the first
  uint64_t lost = 0;   // records of the log before that the registry had not acknowledged
  Bytes announcement;  // empty: not signed yet
  uint32_t run = 0;
  record::Frontier tree;  // over all sealed records
  record::Frontier kept;  // over the records before the first segment that is kept
  RingPlace live;
  bool ended = false;  // the last sealed record ends a run in order
  record::Position acknowledged = 0;
};

// A segment with what only the node needs.
struct SealedSegment {
  record::Segment segment;  // with its body, and with its subtrees
  uint32_t gaps = 0;        // gap records in it
  TimeMs oldest_ms = 0;     // wall time of its first record
  TimeMs sealed_ms = 0;
};

struct SegmentRow {
  record::SegmentHead head;
  std::vector<Hash> subtrees;
  uint64_t body_bytes = 0;  // 0: dropped
  uint32_t gaps = 0;        // gap records in it
  TimeMs oldest_ms = 0, sealed_ms = 0;
};

struct TableTotals {
  record::Position first = 0;         // of the oldest segment that is kept
  uint64_t unacknowledged_bytes = 0;  // of bodies
  TimeMs oldest_ms = 0;               // of the oldest record that is not acknowledged; 0: none
};

// Which acknowledged segments go.
struct RemovalTerms {
  TimeMs sealed_before = 0;  // all that were sealed before …
  uint64_t bytes_max = 0;    // … and the oldest, while the bodies together have more
  // Those that end behind it go only while the bodies together have more than that.
  record::Position evidence_from = UINT64_MAX;
  uint64_t evidence_bytes_max = 0;
};

// Thread-safe; each call is one transaction, durable when it returns. kCorrupt, kIo.
class SegmentTable {
 public:
  // kConfig: it was written by another version of this program.
  static Result<std::unique_ptr<SegmentTable>> open(const std::filesystem::path& file);
  // Changes nothing.
  static Result<std::unique_ptr<SegmentTable>> open_to_read(const std::filesystem::path& file);

  // nullopt: no log has begun. kCorrupt, also when the tree is not that of the last segment.
  Result<std::optional<LogState>> load();
  Result<void> save(const LogState& state);
  // The log ends, because of `reason`: a new one begins at the latest at the next start.
  Result<void> end(std::string_view reason);
  // The reason of end(); empty: the log goes on.
  Result<std::string> ending();
  Result<void> add(const SealedSegment& sealed, const LogState& state);

  // As SegmentSource::segment().
  Result<record::Segment> segment(record::Position position);
  Result<TableTotals> totals(record::Position acknowledged);
  // Removes the body of the oldest segment from `from` on that has one: of those without gap
  // records while there are any, since what they count is to be seen nowhere else. Returns its
  // records, the gap records among them, and the bytes that it took; nullopt: there is none.
  struct DroppedBody {
    uint32_t count = 0, gaps = 0;
    uint64_t bytes = 0;
  };
  Result<std::optional<DroppedBody>> drop_oldest_body(record::Position from);
  // Saves the state and removes segments below state.acknowledged by these terms, from the oldest
  // on; never the newest. Their roots are kept. Some at a time: true when there may be more.
  // Adjusts state.kept.
  Result<bool> remove_acknowledged(LogState& state, const RemovalTerms& terms);

  // --- the registry's tree: what a ReceiptBook keeps
  Result<TreeState> tree();
  Result<void> keep_tree(const TreeState& state);
  Result<std::vector<PastTree>> past_trees();
  // The same with `past` as trees that have ended, behind those that are kept.
  Result<void> keep_trees(const TreeState& state, const std::vector<PastTree>& past);
  // The log's checkpoint at that size, by its signature or as its root was kept; nullopt: it has
  // none there, or not any more.
  Result<std::optional<OwnCheckpoint>> checkpoint_at(record::Position size, const PublicKey& key);

  // Calls back for each segment in order, until it returns false.
  Result<void> for_each(const std::function<bool(const SegmentRow&)>& use);
  Result<Bytes> body(record::Position first);

 private:
  explicit SegmentTable(std::unique_ptr<SQLite::Database> database)
      : database_(std::move(database)) {}

  Mutex mutex_;
  const std::unique_ptr<SQLite::Database> database_;
};

}  // namespace notp::spool
