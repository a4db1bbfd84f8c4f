// How often decisions of this node have seen a transaction, while its tokens live.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "common/mutex.hpp"

namespace notp::txn {

inline constexpr size_t kPresentationsMax = 262'144;         // 24 MB
inline constexpr TimeMs kPresentationsSweepMs = 10'000;      // between two sweeps of a full table
inline constexpr uint64_t kPresentationsCountMax = 1 << 30;  // of one; it stays there

// Thread-safe. Counts of this process: a restart forgets them.
class Presentations {
 public:
  explicit Presentations(size_t entries_max = kPresentationsMax) : entries_max_(entries_max) {}

  // Returns how often `txn` was taken before for decisions of `path`, and counts this one: of
  // several callers at one time exactly one gets 0. Call it with tokens that were verified alone.
  // nullopt: the table is full of transactions that live, so it cannot be known.
  std::optional<uint64_t> take(std::string_view path, std::string_view txn, TimeMs exp_ms,
                               TimeMs now_ms);
  size_t size() const;
  // Calls that found the table full.
  uint64_t overflows() const;

 private:
  struct Entry {
    uint64_t count = 0;
    TimeMs until_ms = 0;
  };

  const size_t entries_max_;
  mutable Mutex mutex_;
  std::unordered_map<Hash, Entry, HashOfHash> entries_ NOTP_GUARDED_BY(mutex_);
  TimeMs swept_ms_ NOTP_GUARDED_BY(mutex_) = 0;
  uint64_t overflows_ NOTP_GUARDED_BY(mutex_) = 0;
};

}  // namespace notp::txn
