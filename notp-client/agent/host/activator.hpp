// Hands releases to the PDP: reads their file lists from the store, has gates judge those that must
// pass one, and stores what the PDP confirmed.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>

#include "common/atomic_shared.hpp"
#include "notp-client/agent/core/agent_effect.hpp"
#include "notp-client/agent/host/recent_contents.hpp"
#include "notp-client/agent/host/replay_gate.hpp"
#include "notp-client/pdp/pdp.hpp"
#include "notp-client/store/store.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/transport/offload.hpp"

namespace notp::agent {

struct GateUse {
  ReplayGate* judge = nullptr;               // null: every gate is passed
  std::function<void(const Error&)> failed;  // an alarm: it could not judge
};

// Methods run on the executor's thread unless stated otherwise.
class Activator {
 public:
  // `rejected` empty: the PDP decides with `state` now.
  using OutcomeHandler =
      std::function<void(const DesiredState& state, const std::optional<Error>& rejected)>;

  // `pdp`, `store`, `store_worker` and the gate outlive this object.
  Activator(boost::asio::any_io_executor executor, pdp::Pdp& pdp, store::Store& store,
            transport::OffloadPool& store_worker, OutcomeHandler on_outcome, GateUse gate = {},
            std::shared_ptr<const rego::TxnRules> txn = nullptr);

  ~Activator() { stop(); }
  Activator(const Activator&) = delete;
  Activator& operator=(const Activator&) = delete;

  // Call it once, before the first activate(). The handler is called on the executor, any number of
  // times.
  void start();
  void activate(effect::Activate effect);
  // After this call no handler is called.
  void stop();

  // Receives large contents of an installation for the activation that follows; null: this PDP does
  // not compare documents with their previous versions.
  ContentSink* recent();
  // The set that the PDP confirmed last; null: none yet. Thread-safe.
  pdp::ActiveSetPtr confirmed() const { return confirmed_.get(); }
  // Reads from the store. Blocking, on any thread except the executor's and the store's; kCancelled
  // when the store's worker has ended.
  model::BlobLoader stored_contents();

 private:
  boost::asio::awaitable<void> run(effect::Activate effect, pdp::ActiveSetPtr confirmed,
                                   uint64_t number);
  // What to hand over, and the gates that judge it first.
  Result<GateRequest> compose(const effect::Activate& effect, const pdp::ActiveSet* confirmed);
  Result<std::optional<model::Manifest>> stored_manifest(const model::Tree& tree);
  Result<pdp::ActiveRelease> compose_release(const ActivatedRelease& release,
                                             const pdp::ActiveSet* confirmed);
  // The release as it was composed before; null: it was not.
  const pdp::ActiveRelease* known(const ActivatedRelease& release,
                                  const pdp::ActiveSet* confirmed) const;
  Result<std::shared_ptr<const model::DecisionTerms>> stored_terms(const model::Tree& tree);
  model::BlobLoader loader();
  void on_pdp(const pdp::PdpOutcome& outcome);

  const boost::asio::any_io_executor executor_;
  pdp::Pdp& pdp_;
  store::Store& store_;
  transport::OffloadPool& store_worker_;
  const OutcomeHandler on_outcome_;
  RecentContents recent_;       // from an installation to the PDP's outcome
  pdp::ActiveSetPtr composed_;  // the last one; used on the store's worker
  AtomicShared<pdp::ActiveSet> confirmed_{nullptr};
  const GateUse gate_;
  const std::shared_ptr<const rego::TxnRules> txn_;  // of every set
  uint64_t last_ = 0;                                // number of the newest activate()
  bool stopping_ = false;
};

}  // namespace notp::agent
