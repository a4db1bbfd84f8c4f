// The roof over the parts of an agent: takes what happened, lets each part draw its conclusion, and
// yields what the host should do. Pure: no I/O, no clock. One thread.
//
//   DialPlan          when to connect
//   ContentRepair     what to want from the registry
//   PartialTransfers  what survives a cut connection or a restart
//   Installer         artifacts on their way into the store
//   LocalReleases     what is stored, and what the PDP decides with
//   Activation        what the PDP should decide with
//   FreshnessWatch    what time changes
//   TrustUpdates      roots and freshness that arrive
//   CommitReports     what the registry hears of all this
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "notp-client/agent/core/activation.hpp"
#include "notp-client/agent/core/agent_effect.hpp"
#include "notp-client/agent/core/agent_status.hpp"
#include "notp-client/agent/core/agent_trust.hpp"
#include "notp-client/agent/core/core_parts.hpp"
#include "notp-client/agent/core/dial_plan.hpp"
#include "notp-client/agent/core/freshness_watch.hpp"
#include "notp-client/agent/core/installer.hpp"
#include "notp-client/agent/core/repair.hpp"
#include "notp-client/agent/core/staging.hpp"
#include "notp-client/agent/core/trust_updates.hpp"

namespace notp {

struct AgentOptions {
  std::string trust_domain;
  std::string user_agent;  // product and version, for the fleet's list
  std::vector<LedgerId> ledgers;
  size_t releases_kept = limits::kReleasesKept;  // of each ledger, 2 or more
  TimeMs backoff_first_ms = 0;
  TimeMs backoff_max_ms = 0;
};

class AgentCore {
 public:
  // `state` is what AgentTrust::open() has left of the store's, `trust` its result. `random`
  // outlives this object.
  AgentCore(AgentOptions options, StoreState state, AgentTrust trust, Random& random, Now now);
  AgentCore(const AgentCore&) = delete;
  AgentCore& operator=(const AgentCore&) = delete;

  // As in PartialTransfers; adopt_staged() before start().
  void adopt_staged(std::vector<StagedPiece> pieces) { transfers_.adopt(std::move(pieces)); }
  std::optional<StagingStep> next_staging() { return transfers_.next_step(session_.get()); }
  void stop_staging() { transfers_.stop(); }

  // Activates what is stored and dials. Serving does not wait for the network.
  void start(Now now);

  std::vector<AgentEffect> take_effects() { return std::exchange(effects_, {}); }

  // The connection is up (TLS done); `registry` is of the certificate that the peer proved. The
  // session lives until on_disconnected().
  ClientSession& on_connected(Now now, tls::Validity registry);
  void on_connect_failed(const Error& error, Now now);
  // After each call of the pump into the session: handles what it reported.
  void on_session_progress(Now now);
  // The pump ended; the session is gone. `why` is the error of the connection, where it knows more
  // than the session does.
  void on_disconnected(const std::optional<Error>& why, Now now);

  void on_installed(Result<StoredRelease> outcome, Now now);
  void on_content_scan(const ScanRequest& request, Result<ContentScan> scan, Now now);
  // `rejected` empty: the PDP decides with `state` now.
  void on_pdp(const DesiredState& state, const std::optional<Error>& rejected, Now now);
  // What is known to keep the PDP from answering; empty: nothing. Reported with what waits for it.
  void on_pdp_trouble(const std::string& reason, Now now);
  // The PDP refuses a path of this ledger for a while, or (an empty reason) no longer. The registry
  // hears of it with the next report, which follows at once.
  void on_path_quarantine(const LedgerId& ledger, const std::string& path,
                          const std::string& reason, Now now);
  // A Persist effect failed.
  void on_persist_failed(const StoreChange& change, const Error& error, Now now);

  // This node's identity (SPIFFE URI): freshness is for it alone. Call it before each session.
  void set_identity(std::string identity) { trust_.set_audience(std::move(identity)); }
  // Asks the registry; the answer comes as an Answered effect. False: no session is open.
  bool ask(const wire::Request& request);

  // Boot clock.
  TimeMs next_deadline() const;
  // Call it at next_deadline(), and whenever a clock may have moved otherwise: the wall clock was
  // set, or the machine has slept.
  void on_deadline(Now now);

  AgentStatus status() const;
  // What an orderly stop should make durable, one after the other: a restart then knows what to
  // fall back to, should its PDP refuse the newest release.
  std::vector<StoreChange> changes_at_stop() const;

 private:
  CoreParts parts() { return {trust_, releases_, session_, reports_, alarms_, effects_}; }
  wire::Hello make_hello() const;
  void take_session_events();
  void on_event(client_event::Welcomed& event);
  void on_event(client_event::OfferStarted& event);
  void on_event(client_event::OfferComplete& event);
  void on_event(client_event::Published&) {}
  void on_event(client_event::Answered& event);
  void on_event(client_event::RootArrived& event);
  void on_event(client_event::FreshnessArrived& event);
  void on_event(client_event::InventoryWanted& event);
  void on_event(client_event::Closed& event);
  void on_refusal(const wire::Refusal& refusal);
  void on_head(const ReleaseRef& head);
  void on_stored(StoredRelease release, const std::set<uint64_t>& kept_versions);
  // After each event: what time has changed, and what the PDP should decide with then.
  void refresh_status();

  const AgentOptions options_;
  AgentTrust trust_;
  AgentEffects effects_;
  Alarms alarms_;
  LocalReleases releases_;
  RegistrySession session_;
  CommitReports reports_;
  DialPlan dial_;
  PartialTransfers transfers_;
  ContentRepair repair_;
  Activation activation_;
  Installer installer_;
  FreshnessWatch watch_;
  TrustUpdates updates_;
};

}  // namespace notp
