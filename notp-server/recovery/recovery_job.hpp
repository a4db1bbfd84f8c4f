// Fetches what is lost, and stores it.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/recovery/losses.hpp"
#include "notp-server/recovery/node_inquiry.hpp"

namespace notp::recovery {

// All of it outlives the recovery.
struct RecoveryParts {
  registry::Registry& registry;
  trust::RootStore& roots;
  std::filesystem::path data_dir;  // where the mark of a restore is
};

// What a recovery causes in the registry around it. Called on the recovery's thread; may block.
struct RecoveryEffects {
  // Of the nodes that the registry knows and admits. Blocks on the disk; called by whoever asks for
  // the status or orders a recovery.
  std::function<Result<std::vector<std::string>>()> known_nodes;
  std::function<void(const model::LedgerId&)> new_head;
  std::function<void()> roots_changed;
  std::function<void()> freshness_due;
};

struct RecoveryOrder {
  wire::Recover what;
  std::string administrator;  // identity
  GivenUp given_up;
};

// run() is for the recovery's thread; the rest is thread-safe.
class RecoveryJob {
 public:
  RecoveryJob(const RecoveryParts& parts, Losses& losses, NodeInquiry& inquiry)
      : parts_(parts), losses_(losses), inquiry_(inquiry) {}

  // Blocks until all is back, or nothing more can be done now. Each step can be repeated: after a
  // crash the mark is there, nodes show again what is still lost, and what was stored is not lost
  // any more.
  void run(const RecoveryOrder& order, const RecoveryEffects& effects);

  // Adds to the row of a ledger what the job did to it.
  void complete(wire::RecoveryRow& row) const;
  // The ledgers of which releases were recovered since the start.
  std::vector<model::LedgerId> recovered() const;
  uint64_t recovered_total() const { return recovered_total_; }
  void forget_errors();

 private:
  struct Progress {
    uint64_t recovered = 0;
    bool is_fetching = false;
    std::string message;  // of the last error
  };

  Result<void> run_steps(const RecoveryOrder& order, const RecoveryEffects& effects);
  Result<void> begin_mark();
  Result<void> adopt_roots(const RecoveryOrder& order, const RecoveryEffects& effects);
  // Whether anything was recovered.
  bool recover_ledgers(const RecoveryOrder& order, const RecoveryEffects& effects);
  Result<void> recover_ledger(const RecoveryOrder& order, const model::LedgerId& ledger);
  Result<void> fetch(const RecoveryOrder& order, const LostRelease& lost);
  Result<registry::NewRelease> get_from(const serve::SessionHandle& session,
                                        const LostRelease& lost);
  Result<void> store(const RecoveryOrder& order, registry::NewRelease release,
                     const std::string& node);
  void withdraw_again(const RecoveryOrder& order);
  void withdraw_again(const RecoveryOrder& order, const model::LedgerId& ledger,
                      const std::map<Hash, TimeMs>& listed);
  Result<void> end();

  const RecoveryParts& parts_;
  Losses& losses_;
  NodeInquiry& inquiry_;
  std::atomic<uint64_t> recovered_total_{0};
  mutable Mutex mutex_;
  std::map<model::LedgerId, Progress> progress_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::recovery
