#include "notp-client/txn/verify/presentations.hpp"

#include <algorithm>

namespace notp::txn {

std::optional<uint64_t> Presentations::take(std::string_view path, std::string_view txn,
                                            TimeMs exp_ms, TimeMs now_ms) {
  const Hash key = sha256(txn), place = sha256(path);
  const MutexLock lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (counts_ >= counts_max_ && now_ms - swept_ms_ >= kPresentationsSweepMs) sweep(now_ms);
    if (counts_ >= counts_max_) return std::nullopt;
    ++counts_;
    entries_.emplace(key, Entry{.until_ms = exp_ms, .paths = {{place, 1}}});
    return 0;
  }
  Entry& entry = found->second;
  // A token of the same transaction that lives longer keeps it.
  entry.until_ms = std::max(entry.until_ms, exp_ms);
  const auto known = std::ranges::find(entry.paths, place, &PathCount::path);
  if (known != entry.paths.end()) return count(known->count);
  // Once some were counted together, this path may have been among them.
  if (entry.others != 0 || entry.paths.size() >= kPresentedPathsMax || counts_ >= counts_max_ / 2)
    return count(entry.others);
  ++counts_;
  entry.paths.push_back({place, 1});
  return 0;
}

uint64_t Presentations::count(uint64_t& counter) {
  const uint64_t before = counter;
  counter = std::min(before + 1, kPresentationsCountMax);
  return before;
}

void Presentations::sweep(TimeMs now_ms) {
  swept_ms_ = now_ms;
  std::erase_if(entries_, [now_ms](const auto& each) { return each.second.until_ms <= now_ms; });
  counts_ = 0;
  for (const auto& [key, entry] : entries_) counts_ += entry.paths.size();
}

size_t Presentations::size() const {
  const MutexLock lock(mutex_);
  return counts_;
}

}  // namespace notp::txn
