// The root object of the agent's logic: passes events to its parts and yields the effects that the
// host has to run. Pure: no I/O, no clock. One thread.
//
//   DialPlan          when to connect
//   ContentRepair     what to request from the registry
//   PartialTransfers  what survives a cut connection or a restart
//   Installer         artifacts on their way into the store
//   LocalReleases     what is stored, and what the PDP decides with
//   Activation        what the PDP should decide with
//   FreshnessWatch    what changes with time
//   TrustUpdates      roots, freshness and the state of key sources that arrive
//   CommitReports     what is reported to the registry
//   Holdings          what a registry gets back that has lost it
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "common/rego/txn_rules.hpp"
#include "notp-client/agent/core/activation.hpp"
#include "notp-client/agent/core/agent_effect.hpp"
#include "notp-client/agent/core/agent_status.hpp"
#include "notp-client/agent/core/agent_trust.hpp"
#include "notp-client/agent/core/core_parts.hpp"
#include "notp-client/agent/core/dial_plan.hpp"
#include "notp-client/agent/core/freshness_watch.hpp"
#include "notp-client/agent/core/holdings.hpp"
#include "notp-client/agent/core/installer.hpp"
#include "notp-client/agent/core/repair.hpp"
#include "notp-client/agent/core/staging.hpp"
#include "notp-client/agent/core/trust_updates.hpp"

namespace notp::agent {

struct AgentOptions {
  std::string trust_domain;
  std::string user_agent;  // product and version, for the fleet list
  std::vector<model::LedgerId> ledgers;
  size_t releases_kept = limits::kReleasesKept;  // per ledger, at least 2
  TimeMs backoff_first_ms = 0;
  TimeMs backoff_max_ms = 0;
  std::shared_ptr<const rego::TxnRules> txn = nullptr;  // as in pdp::ActiveSet
};

class AgentCore {
 public:
  // `state` is the store's state after AgentTrust::open(), `trust` the result of that call.
  // `random` outlives this object.
  AgentCore(AgentOptions options, store::StoreState state, AgentTrust trust, Random& random,
            Now now);
  AgentCore(const AgentCore&) = delete;
  AgentCore& operator=(const AgentCore&) = delete;

  // As in PartialTransfers; call adopt_staged() before start().
  void adopt_staged(std::vector<store::StagedPiece> pieces) { transfers_.adopt(std::move(pieces)); }
  std::optional<StagingStep> next_staging() { return transfers_.next_step(session_.get()); }
  void stop_staging() { transfers_.stop(); }

  // Activates what is stored, and dials. Serving does not wait for the network.
  void start(Now now);

  std::vector<AgentEffect> take_effects() { return std::exchange(effects_, {}); }

  // The connection is up (TLS done); `registry` is the validity of the certificate that the peer
  // proved; `log` is the log of decisions to offer. The session lives until on_disconnected().
  session::ClientSession& on_connected(Now now, tls::Validity registry,
                                       std::optional<wire::LogOffer> log = std::nullopt);
  void on_connect_failed(const Error& error, DialFailure failure, Now now);
  // Handles what the session reported. Call it after each pump of the session.
  void on_session_progress(Now now);
  // The pump ended; the session is gone. `why` is the connection's error, if it knows more than the
  // session does.
  void on_disconnected(const std::optional<Error>& why, Now now);

  void on_installed(Result<store::StoredRelease> outcome, Now now);
  void on_content_scan(const ScanRequest& request, Result<ContentScan> scan, Now now);
  void on_returned(const ReturnJob& job, Result<ReturnedArtifact> artifact, Now now);
  // `rejected` empty: the PDP decides with `state` now.
  void on_pdp(const DesiredState& state, const std::optional<Error>& rejected, Now now);
  // A gate could not judge a release, which the PDP then gets: an alarm for the operator.
  void on_gate_failed(const Error& error, Now now);
  // A known reason why the PDP does not answer; empty: none. Reported with the releases that wait
  // for it.
  void on_pdp_trouble(const std::string& reason, Now now);
  // The PDP refuses a path of this ledger for a while, or (an empty reason) no longer. A report to
  // the registry follows at once.
  void on_path_quarantine(const model::LedgerId& ledger, const std::string& path,
                          const std::string& reason, Now now);
  // The PDP met tokens whose keys are not in their issuers' key sets. Reported, as in SourceWatch.
  void on_unknown_keys(const std::vector<wire::UnknownKey>& keys, Now now);
  // A Persist effect failed.
  void on_persist_failed(const store::StoreChange& change, const Error& error, Now now);

  // This node's identity (SPIFFE URI), the audience of freshness statements. Call it before each
  // session.
  void set_identity(std::string identity) { trust_.set_audience(std::move(identity)); }
  // Asks the registry; the answer comes as an Answered effect. False: no session is open.
  bool ask(const wire::Request& request);

  // Boot clock.
  TimeMs next_deadline() const;
  // Call it at next_deadline(), and whenever a clock may have jumped: the wall clock was set, or
  // the machine has slept.
  void on_deadline(Now now);

  // For what the host learns of the log of decisions, and of the lane.
  Alarms& alarms() { return alarms_; }
  // For the lane, which has a clock of its own.
  const AgentTrust& trust() const { return trust_; }
  AgentStatus status() const;
  // The changes that an orderly stop should make durable, in this order, so that a restart knows
  // its fallback if the PDP refuses the newest release.
  std::vector<store::StoreChange> changes_at_stop() const;

 private:
  CoreParts parts() { return {trust_, releases_, session_, reports_, alarms_, effects_}; }
  wire::Hello make_hello(std::optional<wire::LogOffer> log) const;
  void take_session_events();
  void on_event(session::client_event::Welcomed& event);
  void on_event(session::client_event::OfferStarted& event);
  void on_event(session::client_event::OfferComplete& event);
  void on_event(auto&) {}  // what others take
  void on_event(session::client_event::InventoryWanted& event);
  void on_event(session::client_event::Closed& event);
  void on_refusal(const wire::Refusal& refusal);
  void on_head(const trust::ReleaseRef& head);
  void on_stored(store::StoredRelease release, const std::set<uint64_t>& kept_versions);
  // Updates what depends on time, then the wanted state. Called after each event.
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
  Holdings holdings_;
};

}  // namespace notp::agent
