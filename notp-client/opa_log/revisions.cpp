#include "notp-client/opa_log/revisions.hpp"

#include <algorithm>

namespace notp::opa_log {

void Revisions::remember(const pdp::ActiveSetPtr& set) {
  Entry entry{set->revision(), sets_.of(set)};
  const MutexLock lock(mutex_);
  std::erase_if(entries_, [&](const Entry& other) { return other.revision == entry.revision; });
  entries_.push_back(std::move(entry));
  if (entries_.size() > kRevisionsMax) entries_.pop_front();
}

decision::RecordedSetPtr Revisions::find(std::string_view revision) const {
  const MutexLock lock(mutex_);
  const auto found = std::ranges::find(entries_, revision, &Entry::revision);
  return found == entries_.end() ? nullptr : found->set;
}

decision::RecordedSetPtr Revisions::newest() const {
  const MutexLock lock(mutex_);
  return entries_.empty() ? nullptr : entries_.back().set;
}

}  // namespace notp::opa_log
