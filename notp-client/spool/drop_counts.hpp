// Counts decisions that are left out of the log on purpose, until a record says how many.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/mutex.hpp"
#include "protocol/record/record.hpp"

namespace notp::spool {

// Different (path, outcome, rule) of one record; the rest is counted together, under kOtherDrops.
inline constexpr size_t kDroppedKeysMax = 256;
inline constexpr const char* kOtherDrops = "…";
// A longer path or rule is cut.
inline constexpr size_t kDroppedTextMax = 1 << 10;
// Rules that the metrics name.
inline constexpr size_t kDroppedRulesMax = 64;

// Thread-safe.
class DropCounts {
 public:
  // Puts the counts into a record; false: they are kept for the next one.
  using Writer = std::function<bool(const record::Dropped&)>;

  // Returns whether these are the first since the last record.
  bool add(std::string path, record::Outcome outcome, std::string rule);
  // Has a record written of what was counted, and begins anew. False: it could not be written.
  bool write(const Writer& writer);
  // write() for the last time: add() counts nothing any more. Waits for a write() in another
  // thread, so that no counts follow the end of the log.
  bool close(const Writer& writer);
  bool has_counts() const;

  // Since the start of the process.
  uint64_t total() const;
  std::vector<std::pair<std::string, uint64_t>> by_rule() const;

 private:
  using Key = std::tuple<std::string, record::Outcome, std::string>;
  bool write_all(const Writer& writer) NOTP_REQUIRES(writing_);
  void count(Key key, uint64_t count) NOTP_REQUIRES(mutex_);

  Mutex writing_;        // held while a record is written
  mutable Mutex mutex_;  // after writing_
  std::map<Key, uint64_t> counts_ NOTP_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> rules_ NOTP_GUARDED_BY(mutex_);
  bool is_closed_ NOTP_GUARDED_BY(mutex_) = false;
  uint64_t total_ NOTP_GUARDED_BY(mutex_) = 0;
};

}  // namespace notp::spool
