// The key sources of a registry: OpenID providers whose keys are fetched and published.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/atomic_shared.hpp"
#include "common/config.hpp"
#include "common/mutex.hpp"
#include "notp-server/sources/issuer_host.hpp"
#include "protocol/serve/session_services.hpp"

namespace notp::sources {

// They outlive the sources.
struct SourcesParts {
  registry::Registry& registry;
  RootSource root;
  Environment environment;  // for proxies: see http::ClientOptions
};

// What sources cause in the registry around them. Called on their threads; may block.
struct SourcesEffects {
  PublishRelease publish;
  std::function<void()> statuses_changed;  // sessions look at issuers() again
};

// Thread-safe. One thread for each issuer.
class Sources final : public serve::KeySources {
 public:
  // kConfig: a file of authorities cannot be read.
  static Result<std::unique_ptr<Sources>> open(const SourcesConfig& config, SourcesParts parts);
  Sources(const Sources&) = delete;
  Sources& operator=(const Sources&) = delete;
  ~Sources() override;

  // Call it once, before the first session.
  void start(SourcesEffects effects);
  // Ends fetches, and waits for publishes that are under way. A second call does nothing.
  void stop();

  // From memory. It changes when a state does, and for the time of the last good fetch alone at
  // most every kGoodFetchReportMs.
  std::shared_ptr<const wire::SourceStatus> issuers() const override { return statuses_.get(); }
  void unknown_key(const serve::Peer& peer, const wire::UnknownKey& key) override;

  // The issuers of that name (empty: all) and of ledgers that `may_see`.
  using MaySee = std::function<bool(const model::LedgerId&)>;
  wire::SourcesPage page(const std::string& name, const MaySee& may_see) const;
  // Has the issuer's keys fetched, and returns its row without waiting for them. kNotFound;
  // kOverloaded: they were fetched a moment ago.
  Result<wire::SourcesPage> refresh(const model::LedgerId& ledger, const std::string& name);

  // There is a new root, which may delegate ledgers to the source key.
  void root_changed();

  std::vector<IssuerReport> reports() const;

 private:
  explicit Sources(SourcesParts parts) : parts_(std::move(parts)) {}

  void update_statuses();

  const SourcesParts parts_;
  SourcesEffects effects_;
  std::unique_ptr<KeyPublisher> publisher_;
  std::map<model::LedgerId, std::unique_ptr<LedgerKeys>> ledgers_;
  std::vector<std::unique_ptr<IssuerHost>> issuers_;  // by name

  AtomicShared<wire::SourceStatus> statuses_{std::make_shared<const wire::SourceStatus>()};
  Mutex statuses_mutex_;
  TimeMs reported_ms_ NOTP_GUARDED_BY(statuses_mutex_) = 0;  // boot time
};

}  // namespace notp::sources
