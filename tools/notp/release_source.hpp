// Verified releases for commands: from the cache where it is current, else from the registry.
#pragma once

#include <memory>
#include <optional>

#include "tools/notp/registry_client.hpp"
#include "tools/notp/release_cache.hpp"

namespace notp::cli {

class ReleaseSource {
 public:
  // Connects and learns the head of `ledger`. `output` outlives the source.
  static Result<std::unique_ptr<ReleaseSource>> open(const Settings& settings,
                                                     const Environment& environment,
                                                     const Output& output, const LedgerId& ledger);

  const LedgerId& ledger() const { return ledger_; }
  const Root& root() const { return root_; }
  RegistryClient& client() { return *client_; }
  // The registry's word, not verified; nullopt: the ledger has no release.
  const std::optional<wire::Head>& head() const { return head_; }

  // The newest release, not older than what this machine has seen; nullptr: the ledger has none.
  // kRollback, kEquivocation when the registry contradicts what was verified before.
  Result<std::shared_ptr<const PulledRelease>> pull_head();
  // kNotFound.
  Result<std::shared_ptr<const PulledRelease>> pull(uint64_t version);
  void keep(const PulledRelease& release) { cache_.keep(release); }

 private:
  ReleaseSource(const Environment& environment, const Output& output, LedgerId ledger, Root root)
      : output_(output),
        ledger_(std::move(ledger)),
        root_(std::move(root)),
        cache_(environment, root_) {}
  Result<std::shared_ptr<const PulledRelease>> fetch(uint64_t version, const PulledRelease* base,
                                                     const Floor& floor);

  const Output& output_;
  const LedgerId ledger_;
  const Root root_;
  ReleaseCache cache_;
  std::unique_ptr<RegistryClient> client_;
  std::optional<wire::Head> head_;
};

}  // namespace notp::cli
