// Where a registry keeps the segments of its nodes' logs: the interface.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "protocol/record/segment.hpp"

namespace notp::audit {

// What a search needs of one segment, made once when it arrives.
struct SegmentIndex {
  Bytes head;    // time, path, ledger and outcome of each record (segment_head.hpp)
  Bytes filter;  // the strings and numbers of inputs and results (value_filter.hpp)
};

// A segment as it is stored. Of one without a body the hashes remain.
struct StoredSegment {
  uint64_t key = 0;  // as in SegmentRow; set by read() and find()
  std::string node;  // identity
  record::Segment segment;
  // Records were taken out: the body is as record::reduce() makes it, and the secret is zeros.
  bool reduced = false;
  SegmentIndex index;     // empty without a body
  record::Frontier tree;  // after the segment
  TimeMs stored_ms = 0;
  int64_t first_time_ns = 0, last_time_ns = 0;  // smallest and largest time of its records
};

// A segment's place in a list, without its body. `key` orders segments by arrival.
struct SegmentRow {
  uint64_t key = 0;
  std::string node;
  record::LogId log;
  record::Position first = 0;
  uint32_t count = 0;
  int64_t first_time_ns = 0, last_time_ns = 0;
  TimeMs stored_ms = 0;
};

// Segments of the same day lie in one file.
constexpr uint32_t day_of_key(uint64_t key) { return static_cast<uint32_t>(key >> 32); }

// What is taken out of a segment.
struct Removal {
  uint64_t key = 0;
  std::vector<record::Position> positions;  // ascending; empty: its whole body
};

// The state of one log.
struct StoredLog {
  record::LogId log;
  std::string node;
  PublicKey log_key;   // `log` is LogId::of() it; zeros: unknown
  Bytes announcement;  // empty: lost, the node is asked for it again
  record::Frontier tree;
  TimeMs first_ms = 0, last_ms = 0;
  uint64_t pruned = 0;  // records whose body the node had dropped
};

struct StoredFault {
  record::LogId log;
  ErrorCode code = ErrorCode::kLogFork;
  record::Position position = 0;
  std::string message;
  TimeMs at_ms = 0;
  std::string checkpoint;
  Bytes segment;  // what was refused, as far as it is kept: evidence
};

// A file of the store that cannot be read, or is not the one that was written.
struct StoreDamage {
  std::string file;  // its name
  std::string message;
};

// One writer; any number of readers, each on its own thread. Blocking.
class AuditStore {
 public:
  virtual ~AuditStore() = default;

  // Makes the segments durable, all or none, and moves their logs on. kIo.
  virtual Result<void> append(const std::vector<StoredSegment>& segments) = 0;
  // A log that is new, or whose announcement is. Its tree and times stay when it is known.
  virtual Result<void> put_log(const StoredLog& log) = 0;
  // Keeps at most kForksKeptMax, of one log kFaultsPerLogMax; later ones are counted alone. The
  // same fault again changes nothing.
  virtual Result<void> put_fault(const StoredFault& fault) = 0;

  // Returns at most `max` logs above `after`, ascending by id.
  virtual Result<std::vector<StoredLog>> logs(const std::optional<record::LogId>& after = {},
                                              size_t max = SIZE_MAX) const = 0;
  // Newest first, without what was refused. Also damaged files that held segments of the log.
  virtual Result<std::vector<StoredFault>> faults(const record::LogId& log) const = 0;

  // Calls `visit` with the segments of a time range, by key: descending from below `key` (0: the
  // newest), or ascending from above it. False stops. `visit` may read from the store. Files that
  // are damaged are left out and named in damages().
  struct Range {
    int64_t since_ns = 0, until_ns = INT64_MAX;  // [since, until) of record times; 0: no bound
    uint64_t key = 0;
    bool ascending = false;
    bool with_filters = true;  // else the filters of what is visited are empty
  };
  using Visit = std::function<bool(const SegmentRow& row, const SegmentIndex& index)>;
  virtual Result<void> list(const Range& range, const Visit& visit) const = 0;
  // kNotFound; kCorrupt names the file. `key` as in SegmentRow.
  virtual Result<StoredSegment> read(uint64_t key) const = 0;
  // The segment that holds a record; kNotFound, kCorrupt.
  virtual Result<StoredSegment> find(const record::LogId& log, record::Position position) const = 0;
  // Logs whose id begins with these 6 bytes, as in a decision's id.
  virtual std::vector<record::LogId> logs_by_prefix(ByteView prefix) const = 0;
  // Takes records out for good: from each file at once, or not at all. Of a whole segment the
  // hashes of its subtrees stay; of single records their leaf hashes, and the salts of the others
  // instead of the secret. What is out already changes nothing. No file of the store has the bytes
  // afterwards. It rewrites the files of closed days: one for each day. kNotFound; kUsage: a
  // position outside its segment; kCorrupt, kIo.
  virtual Result<void> redact(const std::vector<Removal>& removals) = 0;
  Result<void> remove(uint64_t key) { return redact({{key, {}}}); }

  virtual std::vector<StoreDamage> damages() const = 0;
};

}  // namespace notp::audit
