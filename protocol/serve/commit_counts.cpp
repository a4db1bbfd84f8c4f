#include "protocol/serve/commit_counts.hpp"

#include <utility>

#include "common/log.hpp"

namespace notp::serve {

void CommitCounts::add(const wire::Commit& commit) {
  const MutexLock lock(mutex_);
  const Key key{commit.ledger, commit.version, commit.state};
  auto found = reports_.find(key);
  if (found == reports_.end()) {
    if (reports_.size() >= kCommitKindsMax) {
      ++beyond_;
      return;
    }
    CommitCount none{.ledger = commit.ledger, .version = commit.version, .state = commit.state};
    found = reports_.emplace(key, std::move(none)).first;
  }
  ++found->second.count;
  if (found->second.message.empty()) found->second.message = commit.message;
}

CommitCounts::Taken CommitCounts::take() {
  Taken out;
  const MutexLock lock(mutex_);
  for (auto& [key, count] : reports_) out.counts.push_back(std::move(count));
  reports_.clear();
  out.beyond = std::exchange(beyond_, 0);
  return out;
}

void CommitCounts::log() {
  const Taken taken = take();
  for (const CommitCount& one : taken.counts)
    log::write(one.state == wire::CommitState::kRejected ? log::Level::kWarn : log::Level::kInfo,
               "commits",
               {{"ledger", one.ledger.text()},
                {"version", one.version},
                {"state", wire::commit_state_name(one.state)},
                {"count", one.count},
                {"message", one.message}});
  if (taken.beyond != 0) log::warn("commits_not_told_apart", {{"count", taken.beyond}});
}

}  // namespace notp::serve
