// How often decisions of this node have seen a transaction, while its tokens live.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "common/mutex.hpp"

namespace notp::txn {

inline constexpr size_t kPresentationsMax = 262'144;  // counts of all transactions; 48 MB
// Paths of one transaction with a count of their own: who asks may invent paths.
inline constexpr size_t kPresentedPathsMax = 16;
inline constexpr TimeMs kPresentationsSweepMs = 10'000;      // between two sweeps of a full table
inline constexpr uint64_t kPresentationsCountMax = 1 << 30;  // of one; it stays there

// Thread-safe. Counts of this process: a restart forgets them.
//
// Further paths of a transaction take one half of the table at most; the other half is for
// transactions that were not seen before. So whoever has some valid tokens takes no count from
// others, whatever paths it asks for.
class Presentations {
 public:
  explicit Presentations(size_t counts_max = kPresentationsMax) : counts_max_(counts_max) {}

  // Returns how often `txn` was taken before for decisions of `path`, and counts this one: of
  // several callers at one time exactly one gets 0. Call it with tokens that were verified alone.
  // Paths beyond kPresentedPathsMax, or when half of the table is taken, have one count together:
  // what is returned for one of them is never too low.
  // nullopt: the table is full of transactions that live, so it cannot be known.
  std::optional<uint64_t> take(std::string_view path, std::string_view txn, TimeMs exp_ms,
                               TimeMs now_ms);
  size_t size() const;  // counts

 private:
  struct PathCount {
    Hash path;
    uint64_t count = 0;
  };
  struct Entry {
    TimeMs until_ms = 0;
    std::vector<PathCount> paths;
    uint64_t others = 0;  // of all other paths
  };

  static uint64_t count(uint64_t& counter);
  void sweep(TimeMs now_ms) NOTP_REQUIRES(mutex_);

  const size_t counts_max_;
  mutable Mutex mutex_;
  std::unordered_map<Hash, Entry, HashOfHash> entries_ NOTP_GUARDED_BY(mutex_);  // by transaction
  size_t counts_ NOTP_GUARDED_BY(mutex_) = 0;                                    // of paths
  TimeMs swept_ms_ NOTP_GUARDED_BY(mutex_) = 0;
};

}  // namespace notp::txn
