#include "notp-client/txn/verify/presentations.hpp"

#include <algorithm>

namespace notp::txn {
namespace {

// Both texts are a peer's: neither can end the other.
Hash key_of(std::string_view path, std::string_view txn) {
  Sha256 hash;
  hash.update(sha256(path).view()).update(txn);
  return hash.finish();
}

}  // namespace

std::optional<uint64_t> Presentations::take(std::string_view path, std::string_view txn,
                                            TimeMs exp_ms, TimeMs now_ms) {
  const Hash key = key_of(path, txn);
  const MutexLock lock(mutex_);
  if (const auto found = entries_.find(key); found != entries_.end()) {
    Entry& entry = found->second;
    // A token of the same transaction that lives longer keeps it.
    entry.until_ms = std::max(entry.until_ms, exp_ms);
    const uint64_t before = entry.count;
    entry.count = std::min(before + 1, kPresentationsCountMax);
    return before;
  }
  if (entries_.size() >= entries_max_ && now_ms - swept_ms_ >= kPresentationsSweepMs) {
    swept_ms_ = now_ms;
    std::erase_if(entries_, [now_ms](const auto& each) { return each.second.until_ms <= now_ms; });
  }
  if (entries_.size() >= entries_max_) {
    ++overflows_;
    return std::nullopt;
  }
  entries_.emplace(key, Entry{1, exp_ms});
  return 0;
}

size_t Presentations::size() const {
  const MutexLock lock(mutex_);
  return entries_.size();
}

uint64_t Presentations::overflows() const {
  const MutexLock lock(mutex_);
  return overflows_;
}

}  // namespace notp::txn
