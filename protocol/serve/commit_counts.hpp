// Counts what the nodes report of releases, so that a release costs a line of the log for each
// state instead of one for each node.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "common/mutex.hpp"
#include "protocol/wire/messages/transfer.hpp"

namespace notp::serve {

// Reports are kept apart by ledger, version and state. A peer chooses the version, so that their
// number between two calls of take() is limited.
inline constexpr size_t kCommitKindsMax = 1'024;

struct CommitCount {
  model::LedgerId ledger;
  uint64_t version = 0;
  wire::CommitState state = wire::CommitState::kStored;
  uint64_t count = 0;
  std::string message;  // of the first node that sent one
};

// Thread-safe.
class CommitCounts {
 public:
  struct Taken {
    std::vector<CommitCount> counts;  // by ledger, version and state
    uint64_t beyond = 0;              // reports above kCommitKindsMax
  };

  void add(const wire::Commit& commit);
  // What has been added since the last call.
  Taken take();
  // Logs what take() returns: rejected releases as warnings.
  void log();

 private:
  using Key = std::tuple<model::LedgerId, uint64_t, wire::CommitState>;

  Mutex mutex_;
  std::map<Key, CommitCount> reports_ NOTP_GUARDED_BY(mutex_);
  uint64_t beyond_ NOTP_GUARDED_BY(mutex_) = 0;
};

}  // namespace notp::serve
