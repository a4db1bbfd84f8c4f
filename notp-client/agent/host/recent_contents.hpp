// Keeps large contents that were just in memory, for their next reader.
#pragma once

#include <list>
#include <utility>

#include "common/limits.hpp"
#include "common/mutex.hpp"
#include "notp-client/agent/core/install.hpp"
#include "protocol/model/tree.hpp"

namespace notp::agent {

// Installing a release has both versions of a large document in memory, and its activation needs
// them a moment later: reading them from the store again would dominate its time. Each content is
// returned once. Thread-safe.
class RecentContents final : public ContentSink {
 public:
  // Keeps contents of at least kPatchedDocumentBytesMin bytes, the newest kRecentContentBytes in
  // total.
  void keep(const Hash& hash, const model::Content& content) override {
    if (content->size() < limits::kPatchedDocumentBytesMin) return;
    const MutexLock lock(mutex_);
    kept_.emplace_back(hash, content);
    bytes_ += content->size();
    while (bytes_ > limits::kRecentContentBytes) pop_front();
  }
  // Null: not kept, or no longer.
  model::Content take(const Hash& hash) {
    const MutexLock lock(mutex_);
    for (auto each = kept_.begin(); each != kept_.end(); ++each) {
      if (each->first != hash) continue;
      model::Content content = std::move(each->second);
      bytes_ -= content->size();
      kept_.erase(each);
      return content;
    }
    return nullptr;
  }
  void clear() {
    const MutexLock lock(mutex_);
    kept_.clear();
    bytes_ = 0;
  }

 private:
  void pop_front() NOTP_REQUIRES(mutex_) {
    bytes_ -= kept_.front().second->size();
    kept_.pop_front();
  }

  Mutex mutex_;
  std::list<std::pair<Hash, model::Content>> kept_ NOTP_GUARDED_BY(mutex_);  // oldest first
  uint64_t bytes_ NOTP_GUARDED_BY(mutex_) = 0;
};

}  // namespace notp::agent
