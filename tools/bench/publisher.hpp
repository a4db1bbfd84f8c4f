// A publisher in this process: does the work of `notp publish` in two steps, so that a clock can be
// read between them. One thread.
#pragma once

#include <memory>

#include "common/clock.hpp"
#include "tools/notp/publish/release_draft.hpp"
#include "tools/notp/registry_client.hpp"

namespace notp::bench {

class Publisher {
 public:
  // Signed and encoded as the next release of the ledger; nothing has been sent yet.
  struct Prepared {
    cli::PulledReleasePtr release;
    model::Content artifact;
  };

  // Opens a session. The ledger must not have a release yet.
  static Result<std::unique_ptr<Publisher>> connect(cli::Settings settings,
                                                    std::string trust_domain,
                                                    model::LedgerId ledger, cli::RootPtr root);

  Result<Prepared> prepare(const model::ModelContent& content,
                           const std::vector<std::string>& roots);
  // Sends it, waits for the registry's result and returns the new version. The registry's refusal.
  Result<uint64_t> publish(const Prepared& prepared);

 private:
  Publisher(cli::Settings settings, std::string trust_domain, model::LedgerId ledger,
            cli::RootPtr root)
      : settings_(std::move(settings)),
        trust_domain_(std::move(trust_domain)),
        ledger_(std::move(ledger)),
        root_(std::move(root)) {}
  // Idle sessions expire; replaces one that may have expired.
  Result<void> ensure_session();

  const cli::Settings settings_;
  const std::string trust_domain_;
  const model::LedgerId ledger_;
  const cli::RootPtr root_;
  std::unique_ptr<cli::RegistryClient> client_;
  TimeMs used_ms_ = 0;          // Now::boot_ms
  cli::PulledReleasePtr head_;  // null: no release yet
};

}  // namespace notp::bench
