// Supplies verified releases to commands: from the cache when it is current, else from the
// registry.
#pragma once

#include <memory>
#include <optional>

#include "tools/notp/query/release_cache.hpp"
#include "tools/notp/registry_client.hpp"

namespace notp::cli {

// Opens a session and updates the chain of roots. kRollback when the registry is behind a root that
// was seen before; the errors of connect(). The newest root may have expired.
Result<std::unique_ptr<RegistryClient>> connect_to_registry(
    const Settings& settings, RootChain& chain, const std::vector<model::LedgerId>& ledgers,
    TimeMs now_ms);

// A release that waits for signatures, with its content.
struct PendingRelease {
  trust::WaitingRelease waiting;
  model::ModelContent content;
};

class ReleaseSource {
 public:
  // Connects and reads the head of `ledger`. `output` must outlive the source.
  static Result<std::unique_ptr<ReleaseSource>> open(const Settings& settings,
                                                     const Environment& environment,
                                                     const Output& output,
                                                     const model::LedgerId& ledger);

  const model::LedgerId& ledger() const { return ledger_; }
  // The newest root.
  const trust::Root& root() const { return *chain_.newest(); }
  const RootChain& chain() const { return chain_; }
  RegistryClient& client() { return *client_; }
  // As the registry states it, not verified; nullopt: the ledger has no release.
  const std::optional<trust::ReleaseRef>& head() const { return head_; }

  // The newest release, not older than any that this machine has seen; nullptr: the ledger has
  // none. kRollback, kEquivocation when the registry contradicts a release verified before.
  Result<std::shared_ptr<const PulledRelease>> pull_head();
  // kNotFound.
  Result<std::shared_ptr<const PulledRelease>> pull(uint64_t version);
  // A release that waits for signatures, on the head: the statement in `row`, with at least one
  // signature that counts.
  Result<PendingRelease> pull_pending(const wire::PendingRow& row);
  void keep(const PulledRelease& release) { cache_.keep(release); }

 private:
  ReleaseSource(const Environment& environment, const Output& output, model::LedgerId ledger,
                RootChain chain)
      : output_(output),
        ledger_(std::move(ledger)),
        chain_(std::move(chain)),
        cache_(environment, chain_.all()) {}
  Result<std::shared_ptr<const PulledRelease>> fetch(uint64_t version, const PulledRelease* base,
                                                     const trust::Floor& floor);
  Result<RegistryClient::Fetched> fetch_artifact(wire::Want want);
  Result<void> check_linked(const PulledRelease& release);

  const Output& output_;
  const model::LedgerId ledger_;
  const RootChain chain_;
  ReleaseCache cache_;
  std::unique_ptr<RegistryClient> client_;
  std::optional<trust::ReleaseRef> head_;
  std::shared_ptr<const PulledRelease> pulled_head_;  // set by pull_head()
};

}  // namespace notp::cli
