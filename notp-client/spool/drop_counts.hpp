// Counts decisions that are left out of the log on purpose, until a record says how many.
#pragma once

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
  // Returns whether these are the first since take().
  bool add(std::string path, record::Outcome outcome, std::string rule);
  // Returns what was counted, and begins anew. nullopt: nothing.
  std::optional<record::Dropped> take();
  // Returns what was counted; add() counts nothing any more.
  std::optional<record::Dropped> close();
  bool has_counts() const;
  // Returns what take() gave: it could not be written.
  void give_back(const record::Dropped& counts);

  // Since the start of the process.
  uint64_t total() const;
  std::vector<std::pair<std::string, uint64_t>> by_rule() const;

 private:
  using Key = std::tuple<std::string, record::Outcome, std::string>;
  std::optional<record::Dropped> take_all() NOTP_REQUIRES(mutex_);
  void count(Key key, uint64_t count) NOTP_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<Key, uint64_t> counts_ NOTP_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> rules_ NOTP_GUARDED_BY(mutex_);
  bool is_closed_ NOTP_GUARDED_BY(mutex_) = false;
  uint64_t total_ NOTP_GUARDED_BY(mutex_) = 0;
};

}  // namespace notp::spool
