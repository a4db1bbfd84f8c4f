// Recovers releases that the registry has lost from the nodes that hold them:
// protocol/session/README.md, "Recovery".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/recovery/losses.hpp"
#include "notp-server/recovery/node_inquiry.hpp"
#include "notp-server/recovery/recovery_job.hpp"
#include "protocol/serve/recovery_intake.hpp"

namespace notp::recovery {

// Thread-safe. The questions that sessions and publishes ask at each step (may_publish(),
// attests(), …) are answered from memory. What nodes send is verified, and what is stored is
// written, on a thread of its own.
class Recovery final : public serve::RecoveryIntake {
 public:
  // Reads the mark that a restore leaves. kCorrupt, kIo.
  static Result<std::unique_ptr<Recovery>> open(RecoveryParts parts);
  ~Recovery() override;

  // Begins to ask. Until then, and after stop(), what nodes say is dropped. `peers` outlives
  // stop().
  void start(serve::PeerQuestions& peers, RecoveryEffects effects);
  // Ends the thread; a recovery that runs ends after its present step. A second call does nothing.
  void stop();

  // --- what is held up

  // kConflict: releases of the ledger are lost, or it is forked, or a restore is not confirmed. The
  // message names a node that has them, and the command.
  Result<void> may_publish(const model::LedgerId& ledger) const {
    return losses_.may_publish(ledger);
  }
  // Whether the head of the ledger is the newest release, as far as is known.
  bool attests(const model::LedgerId& ledger) const { return losses_.attests(ledger); }
  // kConflict while a root is lost, or a restore is not confirmed.
  Result<void> may_publish_root() const { return losses_.may_publish_root(); }

  // --- what nodes say

  // A node has a session.
  void heard(const std::string& identity) { inquiry_.heard(identity); }
  void on_holds_more(const serve::SessionHandle& session,
                     const session::server_event::HoldsMore& more) override;
  void on_held(const serve::SessionHandle& session, wire::Held held) override;
  void on_returned(const serve::SessionHandle& session, wire::Return head,
                   std::unique_ptr<session::Upload> artifact) override;
  void on_session_end(const serve::SessionHandle& session) override;

  // --- administrators

  // Begins to fetch, in the name of `administrator`. While it runs, the same order is accepted
  // again and changes nothing; so it does when nothing is lost and there is no mark. kConflict,
  // naming the first: nodes that are known were not heard since the start, or no connected node
  // holds a lost release. kUnavailable before start() and after stop(). Blocks on the disk.
  Result<void> recover(const wire::Recover& order, const std::string& administrator);
  // Blocks on the disk.
  Result<wire::RecoveryStatus> status(const wire::RecoveryRequest& request);

  struct Facts {
    Losses::Facts losses;
    bool is_running = false;
    uint64_t recovered_total = 0;  // releases, since the start
  };
  // From memory.
  Facts facts() const;

 private:
  Recovery(RecoveryParts parts, std::optional<registry::RestoredMark> mark);
  void run();
  void take_in(const NodeInquiry::Answer& answer);
  bool is_running() const;
  Result<void> check_silent(const std::vector<std::string>& known) const;
  Result<void> check_missing() const;

  const RecoveryParts parts_;
  RecoveryEffects effects_;  // set before the thread begins
  Losses losses_;
  NodeInquiry inquiry_;
  RecoveryJob job_;
  mutable Mutex mutex_;
  std::optional<RecoveryOrder> order_ NOTP_GUARDED_BY(mutex_);  // that has not begun
  bool is_running_ NOTP_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace notp::recovery
