// What an agent does, without doing it: when to connect, what to want, what to install, what the
// PDP should decide with, what to report. The shell (agent_host) pumps the session and runs the
// effects. One thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/random.hpp"
#include "notp-client/agent/backoff.hpp"
#include "notp-client/agent/install.hpp"
#include "protocol/session/client_session.hpp"

namespace notp {

struct AgentOptions {
  std::string trust_domain;
  std::string agent;  // product and version, for the fleet's list
  std::vector<LedgerId> ledgers;
  TimeMs backoff_first_ms = 0;
  TimeMs backoff_max_ms = 0;
};

// One version of each ledger: what a PDP decides with.
using VersionSet = std::map<LedgerId, uint64_t>;

namespace agent_effect {
// Dial the registry; answer with on_connected() or on_connect_failed().
struct Connect {};
// Run install_release(); answer with on_installed().
struct Install {
  InstallRequest request;
};
// Hand these versions to the PDP; its word comes back through on_pdp().
struct Activate {
  VersionSet versions;
};
// Make it durable that the PDP refused a release.
struct Quarantine {
  LedgerId ledger;
  uint64_t version = 0;
  Error error;
};
// Something a person should see: goes to the log, and to the health endpoint while it lasts.
struct Alarm {
  Error error;
};
// A ledger's state changed: for the log and the metrics.
struct Changed {
  LedgerId ledger;
  uint64_t version = 0;
  wire::CommitState state = wire::CommitState::kStored;
  std::string message;
};
}  // namespace agent_effect

using AgentEffect =
    std::variant<agent_effect::Connect, agent_effect::Install, agent_effect::Activate,
                 agent_effect::Quarantine, agent_effect::Alarm, agent_effect::Changed>;

struct LedgerStatus {
  LedgerId ledger;
  uint64_t stored_version = 0;  // 0: none
  uint64_t active_version = 0;  // what the PDP confirmed in this process; 0: none
  uint64_t rejected_version = 0;
  std::string error;
  std::string refusal;  // the registry does not grant this ledger, and why
};

struct AgentStatus {
  bool connected = false;  // Welcome arrived
  std::string last_error;  // of the connection
  std::vector<LedgerStatus> ledgers;
  std::vector<std::string> alarms;
};

class AgentCore {
 public:
  AgentCore(AgentOptions options, StoreState state, std::shared_ptr<const Root> root,
            Random& random, Now now);

  // Activates what is stored and dials. Serving does not wait for the network.
  void start(Now now);

  std::vector<AgentEffect> take_effects() { return std::exchange(effects_, {}); }

  // The connection is up (TLS done). The session lives until on_disconnected().
  ClientSession& on_connected(Now now);
  void on_connect_failed(const Error& error, Now now);
  // After each call of the pump into the session: handles what it reported.
  void on_session_progress(Now now);
  // The pump ended; the session is gone. `why` is what the connection said, when it knows more than
  // the session does.
  void on_disconnected(const std::optional<Error>& why, Now now);

  void on_installed(Result<StoredRelease> outcome, Now now);
  // `rejected` empty: the PDP decides with `versions` now.
  void on_pdp(const VersionSet& versions, const std::optional<Error>& rejected, Now now);

  TimeMs next_deadline() const;
  void on_deadline(Now now);

  AgentStatus status() const;
  // What the PDP last confirmed in this process.
  const VersionSet& active() const { return active_; }

 private:
  struct LedgerRun {
    Floor floor;
    std::vector<StoredRelease> releases;  // newest first
    std::string refusal;
    bool damaged = false;  // what is stored could not be read: wanted whole, without a base
    uint64_t registry_version = 0;     // highest that the registry has shown in this session
    TimeMs stored_report_ms = kNever;  // when STORED is reported if the PDP has not spoken
  };
  struct Arrived {
    wire::Offer offer;
    std::shared_ptr<const Bytes> artifact;
  };

  void connect_later(TimeMs retry_after_ms, Now now);
  wire::Hello make_hello() const;
  wire::Want make_want(const LedgerId& ledger, const LedgerRun& run, bool with_base) const;

  void on_event(client_event::Welcomed& event, Now now);
  void on_event(client_event::OfferStarted& event, Now now);
  void on_event(client_event::OfferComplete& event, Now now);
  void on_event(client_event::Published& event, Now now);
  void on_event(client_event::Answered& event, Now now);
  void on_event(client_event::RootArrived& event, Now now);
  void on_event(client_event::FreshnessArrived& event, Now now);
  void on_event(client_event::Closed& event, Now now);
  void check_head(const wire::Head& head);
  void report_ledger(const LedgerId& ledger, const LedgerRun& run);
  void report(const LedgerId& ledger, uint64_t version, wire::CommitState state,
              const Error* error);

  void install_next();
  void on_install_failed(const Arrived& arrived, const Error& error);
  void fetch_full(const LedgerId& ledger);

  // The release of a ledger that the PDP should decide with; nullptr: none is fit.
  static const StoredRelease* desired(const LedgerRun& run);
  static StoredRelease* find(LedgerRun& run, uint64_t version);
  // What the PDP is known to accept: confirmed in this process, else in an earlier one.
  VersionSet known_good() const;
  void try_activation(bool again);
  void on_activated(const VersionSet& versions);
  void on_unreadable(const VersionSet& versions, const Error& error);
  void on_rejected(const VersionSet& versions, const Error& error);
  void quarantine(const LedgerId& ledger, uint64_t version, const Error& error);
  void alarm(const Error& error);

  const AgentOptions options_;
  const std::shared_ptr<const Root> root_;
  Random& random_;
  Backoff backoff_;

  std::map<LedgerId, LedgerRun> ledgers_;
  std::unique_ptr<ClientSession> session_;
  std::vector<PartialArtifact> partials_;
  bool dialling_ = false;
  TimeMs connect_at_ms_ = kNever;  // boot clock
  TimeMs retry_after_ms_ = 0;
  std::string last_error_;
  std::vector<std::string> alarms_;

  std::deque<Arrived> arrived_;
  std::optional<Arrived> installing_;

  VersionSet active_;
  std::optional<VersionSet> attempt_;  // handed to the PDP, no word yet
  bool isolating_ = false;  // after a refusal of several changes at once: one change at a time
  std::vector<AgentEffect> effects_;
};

}  // namespace notp
