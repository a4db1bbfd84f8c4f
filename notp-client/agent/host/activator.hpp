// Hands releases to the PDP: reads their file lists from the store, and remembers what the PDP
// confirmed.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>

#include "common/atomic_shared.hpp"
#include "notp-client/agent/core/agent_effect.hpp"
#include "notp-client/agent/host/recent_contents.hpp"
#include "notp-client/pdp/pdp.hpp"
#include "notp-client/store/store.hpp"
#include "protocol/transport/offload.hpp"

namespace notp {

// Methods on the executor's thread, except where they say otherwise.
class Activator {
 public:
  // `rejected` empty: the PDP decides with `state` now.
  using OutcomeHandler =
      std::function<void(const DesiredState& state, const std::optional<Error>& rejected)>;

  // `pdp`, `store` and `store_worker` outlive this object.
  Activator(boost::asio::any_io_executor executor, Pdp& pdp, Store& store,
            OffloadPool& store_worker, OutcomeHandler on_outcome);

  // Once, before the first activate(). The handler is called on the executor, any number of times.
  void start();
  void activate(agent_effect::Activate effect);
  // Calls no handler any more.
  void stop() { stopping_ = true; }

  // Where an installation leaves large contents for the activation after it; null: this PDP does
  // not compare documents with what they were before.
  ContentSink* recent();
  // What the PDP has confirmed last; null: nothing yet. Thread-safe.
  ActiveSetPtr confirmed() const { return confirmed_.get(); }
  // Reads from the store. Blocking, on any thread but the executor's and the store's; kCancelled
  // when the store's worker has ended.
  BlobLoader stored_contents();

 private:
  boost::asio::awaitable<void> run(agent_effect::Activate effect, ActiveSetPtr confirmed);
  Result<ActiveSetPtr> compose(const agent_effect::Activate& effect, const ActiveSet* confirmed);
  Result<ComposedRelease> compose_release(const ActivatedRelease& release,
                                          const ActiveSet* confirmed);
  BlobLoader loader();
  void on_pdp(const PdpOutcome& outcome);

  const boost::asio::any_io_executor executor_;
  Pdp& pdp_;
  Store& store_;
  OffloadPool& store_worker_;
  const OutcomeHandler on_outcome_;
  RecentContents recent_;  // from an installation to the PDP's outcome
  AtomicShared<ActiveSet> confirmed_{nullptr};
  bool stopping_ = false;
};

}  // namespace notp
