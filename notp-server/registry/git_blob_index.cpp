#include "notp-server/registry/git_blob_index.hpp"

#include <algorithm>

namespace notp::registry {

void GitBlobIndex::add(const GitId& id, const Hash& hash, const model::Content& content) {
  const MutexLock lock(mutex_);
  by_id_[id] = {hash, content};
  by_hash_[hash] = id;
  if (by_id_.size() >= swept_at_) forget_expired();
}

std::optional<GitId> GitBlobIndex::id_of(const Hash& hash) const {
  const MutexLock lock(mutex_);
  const auto found = by_hash_.find(hash);
  if (found == by_hash_.end()) return std::nullopt;
  return found->second;
}

std::optional<GitBlobIndex::Known> GitBlobIndex::find(const GitId& id) const {
  const MutexLock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  model::Content content = found->second.content.lock();
  if (!content) return std::nullopt;
  return Known{found->second.hash, std::move(content)};
}

model::Content GitBlobIndex::content_of(const Hash& hash) const {
  const MutexLock lock(mutex_);
  const auto found = by_hash_.find(hash);
  return found == by_hash_.end() ? nullptr : by_id_.at(found->second).content.lock();
}

// Sweeping when the index has doubled keeps the cost of an insertion constant on average.
void GitBlobIndex::forget_expired() {
  std::erase_if(by_id_, [&](const auto& item) NOTP_REQUIRES(mutex_) {
    if (!item.second.content.expired()) return false;
    by_hash_.erase(item.second.hash);
    return true;
  });
  swept_at_ = std::max<size_t>(1024, 2 * by_id_.size());
}

}  // namespace notp::registry
