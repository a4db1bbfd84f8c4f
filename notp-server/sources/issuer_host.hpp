// Runs the core of one issuer on a thread of its own: a provider that hangs, and a name server that
// does, hold up no other.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "common/mutex.hpp"
#include "common/random.hpp"
#include "notp-server/sources/issuer_calls.hpp"
#include "notp-server/sources/issuer_core.hpp"
#include "notp-server/sources/issuer_log.hpp"
#include "notp-server/sources/ledger_keys.hpp"
#include "notp-server/sources/sources_config.hpp"

namespace notp::sources {

// What an issuer is now, for metrics and health.
struct IssuerReport {
  std::string name;
  wire::IssuerState state = wire::IssuerState::kLate;
  IssuerFacts facts;
};

// Thread-safe.
class IssuerHost {
 public:
  // `registry` and `keys` outlive it.
  IssuerHost(const IssuerConfig& config, http::Client client,
             std::optional<oauth::TokenClient> tokens, registry::Registry& registry,
             LedgerKeys& keys);
  ~IssuerHost();
  IssuerHost(const IssuerHost&) = delete;
  IssuerHost& operator=(const IssuerHost&) = delete;

  // `changed` is called on the issuer's thread after each event.
  void start(std::function<void()> changed);
  // Ends a fetch, and waits for a publish that is under way. A second call does nothing.
  void stop();

  // As in IssuerCore.
  void unknown_key(std::string_view kid);
  Result<void> refresh();
  void root_changed();

  const IssuerConfig& config() const { return config_; }
  wire::IssuerStatus status(Now now) const;
  wire::SourceRow row(Now now) const;
  IssuerReport report(Now now) const;

 private:
  void run();
  // Reads what the ledger's head has of the issuer.
  void look_at_head();
  // Waits for the next effect; nullopt: it stops.
  std::optional<IssuerEffect> next_effect();
  void fetch(const FetchOrder& order);
  void publish(const PublishOrder& order);
  std::string message_of(const AcceptedKeySet& keys) const;

  const IssuerConfig config_;
  registry::Registry& registry_;
  LedgerKeys& keys_;
  IssuerCalls calls_;
  SystemRandom random_;
  IssuerLog log_;                  // of the thread
  std::function<void()> changed_;  // set before the thread starts

  mutable Mutex mutex_;
  ConditionVariable wake_;
  IssuerCore core_ NOTP_GUARDED_BY(mutex_);
  bool stopping_ NOTP_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace notp::sources
