// What an agent does, without doing it: when to connect, what to want, what to install, what the
// PDP should decide with, what to report. The shell (agent_host) pumps the session and runs the
// effects. One thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "notp-client/agent/agent_trust.hpp"
#include "notp-client/agent/backoff.hpp"
#include "notp-client/agent/install.hpp"
#include "notp-client/agent/selection.hpp"
#include "notp-client/agent/stock.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/trust/root_expiry.hpp"

namespace notp {

struct AgentOptions {
  std::string trust_domain;
  std::string agent;  // product and version, for the fleet's list
  std::vector<LedgerId> ledgers;
  size_t releases_kept = limits::kReleasesKept;  // of each ledger, as in the store
  TimeMs backoff_first_ms = 0;
  TimeMs backoff_max_ms = 0;
};

// What a PDP decides with: one release of each ledger, and how it stands. Where the standing
// denies, the PDP has the release's roots, and neither its policies nor its data.
struct GoalRelease {
  uint64_t version = 0;
  Standing standing;
};
using Goal = std::map<LedgerId, GoalRelease>;

// The same releases, told in the same words: neither is_news() to the other.
bool same_goal(const Goal& told, const Goal& goal);

namespace agent_effect {
// Dial the registry; answer with on_connected() or on_connect_failed().
struct Connect {};
// Run install_release(); answer with on_installed().
struct Install {
  InstallRequest request;
};
// Run take_stock(); answer with on_stock().
struct TakeStock {
  StockRequest request;
};
// Hand these releases to the PDP; its word comes back through on_pdp().
struct Activate {
  Goal goal;
  std::map<LedgerId, StoredRelease> releases;  // of the goal, verified
  TimeMs as_of_ms = 0;                         // trusted time of the standings
};
// Make a root durable, before whatever effect comes after it. A failure comes back through
// on_store_failed(); so it does of the next two.
struct PinRoot {
  PinnedRoot pinned;
};
struct KeepFreshness {
  FreshnessKeep keep;
};
struct KeepTime {
  ClockMarks marks;
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
// What the PDP decides with got older, was vouched for again, or was withdrawn: for the log.
struct Aged {
  LedgerId ledger;
  uint64_t version = 0;
  Standing standing;
};
// The root comes near its end, has expired, or was replaced by one that has not: for the log. Of an
// expired one there is an Alarm, too.
struct RootAged {
  Root root;
  TimeMs at_ms = 0;  // trusted time
};
// The registry's answer to ask().
struct Answered {
  wire::Response response;
};
}  // namespace agent_effect

using AgentEffect =
    std::variant<agent_effect::Connect, agent_effect::Install, agent_effect::TakeStock,
                 agent_effect::Activate, agent_effect::PinRoot, agent_effect::KeepFreshness,
                 agent_effect::KeepTime, agent_effect::Quarantine, agent_effect::Alarm,
                 agent_effect::Changed, agent_effect::Aged, agent_effect::RootAged,
                 agent_effect::Answered>;

// What should happen to the staged artifact of a ledger.
struct DropStaged {
  LedgerId ledger;
};
using StagingStep = std::variant<StagedPiece, DropStaged>;

struct LedgerStatus {
  LedgerId ledger;
  uint64_t stored_version = 0;  // 0: none
  uint64_t active_version = 0;  // what the PDP confirmed in this process; 0: none
  uint64_t rejected_version = 0;
  std::string error;
  std::string refusal;  // the registry does not grant this ledger, and why
  // Paths that the PDP refuses for a while for the work they took, each with the reason.
  std::map<std::string, std::string> quarantined_paths;
  Standing standing;  // of the active release; of the one to be active before the PDP spoke
  TimeMs next_change_ms = kNever;  // trusted time of its next state, if nothing is heard until then
};

struct AgentStatus {
  bool connected = false;  // Welcome arrived
  std::string last_error;  // of the connection
  std::vector<LedgerStatus> ledgers;
  std::vector<std::string> alarms;
  uint64_t root_version = 0;
  TimeMs root_expires_ms = 0;  // 0: never
  uint64_t freshness_sequence = 0;
  // Trusted time of this status, and the boot clock then: ages go on from there.
  TimeMs as_of_ms = 0;
  TimeMs as_of_boot_ms = 0;
};

class AgentCore {
 public:
  // `state` is what AgentTrust::open() has left of the store's, `trust` what it gave.
  AgentCore(AgentOptions options, StoreState state, AgentTrust trust, Random& random, Now now);

  // What an earlier process has staged; call it before start(). What is no use is to be dropped.
  void adopt_staged(std::vector<StagedPiece> pieces);
  // The next thing to do about staging, nullopt: nothing for now. Ask again when it is done: no
  // more than one piece is copied at a time, however slow the disk.
  std::optional<StagingStep> next_staging();
  // Staging does not work; the agent goes on without.
  void stop_staging() { staging_ = false; }

  // Activates what is stored and dials. Serving does not wait for the network.
  void start(Now now);

  std::vector<AgentEffect> take_effects() { return std::exchange(effects_, {}); }

  // The connection is up (TLS done); `registry` is of the certificate that the peer proved. The
  // session lives until on_disconnected().
  ClientSession& on_connected(Now now, tls::Validity registry);
  void on_connect_failed(const Error& error, Now now);
  // After each call of the pump into the session: handles what it reported.
  void on_session_progress(Now now);
  // The pump ended; the session is gone. `why` is what the connection said, when it knows more than
  // the session does.
  void on_disconnected(const std::optional<Error>& why, Now now);

  void on_installed(Result<StoredRelease> outcome, Now now);
  void on_stock(const StockRequest& request, Result<Stock> stock, Now now);
  // `rejected` empty: the PDP decides with `goal` now.
  void on_pdp(const Goal& goal, const std::optional<Error>& rejected, Now now);
  // What is known to keep the PDP from its word; empty: nothing. Reported with what waits for it.
  void on_pdp_trouble(const std::string& reason, Now now);
  // The PDP refuses a path of this ledger for a while, or (an empty reason) no more. The registry
  // hears of it with the next report, which follows at once.
  void on_path_quarantine(const LedgerId& ledger, const std::string& path,
                          const std::string& reason, Now now);
  // What was to become durable did not.
  void on_store_failed(const Error& error, Now now);

  // This node's identity (SPIFFE URI): freshness is for it alone. Call it before each session.
  void set_identity(std::string identity) { trust_.set_audience(std::move(identity)); }
  // Asks the registry; the answer comes as an Answered effect. False: no session is open.
  bool ask(const wire::Request& request);

  // Boot clock.
  TimeMs next_deadline() const;
  // Then, or whenever a clock may have moved otherwise: the wall clock was set, or the machine has
  // slept.
  void on_deadline(Now now);

  AgentStatus status() const;
  // What the PDP last confirmed in this process, and was given whole: fit to fall back to.
  std::map<LedgerId, uint64_t> proven() const;
  // What the PDP last confirmed in this process.
  const Goal& active() const { return active_; }

 private:
  // What was found of a release when all of it was read.
  struct Held {
    uint64_t version = 0;
    std::set<Hash> lacks;
  };
  struct LedgerRun {
    std::vector<StoredRelease> releases;  // newest first
    std::string refusal;
    bool damaged = false;  // what is stored could not be read: wanted whole, without a base
    std::set<uint64_t> unreadable;  // older releases: nobody sends them again
    std::optional<Held> held;       // the last stock; what it lacks is wanted besides what is new
    uint64_t registry_version = 0;  // highest that the registry has shown in this session
    TimeMs stored_report_ms = kNever;    // when STORED is reported if the PDP has not spoken
    std::optional<FreshnessState> told;  // of the active release, when last reported
    // Why the last release that arrived could not be taken; until one is.
    std::optional<Error> trouble;
    // The best release that could be decided with, if it is not for what stands beside it, and why.
    std::optional<Refused> beside;
    // Paths that the PDP refuses for the work they took, and why; at most kQuarantinedPathsMax.
    std::map<std::string, std::string> quarantined_paths;
  };
  struct Arrived {
    wire::Offer offer;
    std::shared_ptr<const Bytes> artifact;
  };
  // How far an artifact is staged.
  struct StagedMark {
    Hash artifact;
    uint64_t bytes = 0;
    std::optional<uint32_t> stream;  // on which more of it arrives
    wire::Offer offer;               // of that stream
  };
  using Versions = std::map<LedgerId, uint64_t>;
  // A release that the PDP refused beside these versions of what it uses. Not durable: a restart
  // asks the PDP again.
  struct Fault {
    uint64_t version = 0;
    Versions beside;
    Error error;
  };

  void connect_later(TimeMs retry_after_ms);
  wire::Hello make_hello() const;
  wire::Want make_want(const LedgerId& ledger, const LedgerRun& run, bool with_base) const;

  // False: its artifact's id is not known.
  std::optional<Hash> artifact_of(const wire::Offer& offer, ByteView received);
  bool name_partial(PartialArtifact& partial);

  void take_session_events();
  void distrust(const Error& error);
  void on_event(client_event::Welcomed& event);
  void on_event(client_event::OfferStarted& event);
  void on_event(client_event::OfferComplete& event);
  void on_event(client_event::Published& event);
  void on_event(client_event::Answered& event);
  void on_event(client_event::RootArrived& event);
  void on_event(client_event::FreshnessArrived& event);
  void on_event(client_event::InventoryWanted& event);
  void on_event(client_event::Closed& event);
  void check_head(const ReleaseRef& head);
  void report_ledger(const LedgerId& ledger, const LedgerRun& run);
  void report_all();
  static std::optional<Error> quarantined_paths(const LedgerRun& run);
  // What keeps this node from the head, or from knowing that it is there. It goes with every report
  // while it lasts: the registry keeps the last one.
  std::optional<Error> trouble_of(const LedgerRun& run) const;
  void report(const LedgerId& ledger, uint64_t version, wire::CommitState state,
              const Error* error);

  void on_staged_offer(const wire::Offer& offer);
  void drop_staged(const wire::Offer& installed);
  uint64_t staged_bytes() const;

  void install_next();
  void on_stored(StoredRelease release);
  void drop_old_releases(const LedgerId& ledger, LedgerRun& run);
  void on_install_failed(const Arrived& arrived, const Error& error);
  void fetch_full(const LedgerId& ledger);
  void take_stock(const LedgerId& ledger, uint64_t version, std::optional<InventoryForm> form);
  void tell_inventory(const LedgerId& ledger, Inventory inventory);
  void give_up(const LedgerId& ledger, uint64_t version, ErrorCode why);
  void repair(const LedgerId& ledger);

  // The newest release that a PDP has confirmed and that can be read; nullptr: none.
  static const StoredRelease* last_good(const LedgerRun& run);
  // What the PDP may decide with of a ledger by itself, best first.
  static std::vector<const StoredRelease*> fit(const LedgerRun& run);
  static StoredRelease* find(LedgerRun& run, uint64_t version);
  const Floor& floor(const LedgerId& ledger) const;
  Outlook outlook(const LedgerId& ledger, uint64_t version) const;
  std::optional<FreshnessState> active_state(const LedgerId& ledger) const;
  Goal goal_of(const Picks& picks) const;
  static Picks picks_of(const Goal& goal);
  // What the PDP is known to accept: confirmed in this process, else in an earlier one.
  Versions known_good() const;
  LedgerCandidates candidates(const LedgerId& ledger,
                              const std::vector<const StoredRelease*>& releases) const;
  Selection wanted() const;
  // The first ledger whose wanted release differs from what is known to work, on top of all that
  // is; nullopt: there is none.
  std::optional<Selection> one_change(const Selection& all) const;
  std::optional<Error> fault_of(const LedgerId& ledger, uint64_t version,
                                const Picks& beside) const;
  // Tells what is new about releases that others keep from being decided with.
  void tell_refused(const std::map<LedgerId, Refused>& refused);
  // False: the findings name no release that uses others.
  bool blame_users(const Goal& goal, const Error& error);
  void keep_fault(const LedgerId& ledger, Fault fault);
  void try_activation(bool again);
  void set_futile(const Goal& goal);
  void on_activated(const Goal& goal);
  void on_unreadable(const Goal& goal, const Error& error);
  void on_rejected(const Goal& goal, const Error& error);
  void quarantine(const LedgerId& ledger, uint64_t version, const Error& error);
  // What time has changed: reports it, hands it to the PDP, and finds out when to look again.
  void age();
  LedgerStatus status_of(const LedgerId& ledger, const LedgerRun& run) const;
  void alarm(const Error& error);
  // One alarm while it lasts; `raised` is cleared when it is over.
  void alarm_once(std::string& raised, const Error& error);
  TimeMs watch_root();

  const AgentOptions options_;
  AgentTrust trust_;
  Random& random_;
  Backoff backoff_;

  std::map<LedgerId, LedgerRun> ledgers_;
  std::unique_ptr<ClientSession> session_;
  // Half received in sessions before. What a session was told of stays until it is offered: the
  // session may end before that.
  std::vector<PartialArtifact> partials_;
  std::map<LedgerId, StagedMark> staged_;
  std::set<LedgerId> unstage_;
  bool staging_ = true;
  bool dialling_ = false;
  TimeMs connect_at_ms_ = kNever;  // boot clock
  TimeMs retry_after_ms_ = 0;
  bool distrusted_ = false;  // this session, over roots or freshness
  bool suspicious_ = false;  // the registry was distrusted, and has not proved good since
  std::string last_error_;
  std::vector<std::string> alarms_;
  std::string pdp_trouble_;
  std::string freshness_alarm_, root_alarm_;  // raised, and not over; empty: none
  RootExpiry root_told_ = RootExpiry::kFar;
  // The same in full, for the registry. The store's is over when it has kept something again.
  std::optional<Error> freshness_trouble_, root_trouble_, store_trouble_;
  bool is_vouched_ = false;  // in this session; what could not be kept would have ended it

  std::deque<Arrived> arrived_;
  std::optional<Arrived> installing_;

  Goal active_;
  std::optional<Goal> attempt_;  // handed to the PDP, no word yet
  std::optional<Goal> futile_;   // failed, and nothing better to offer: not tried again by itself
  // The same of what the PDP decides with, told how it stands now while futile_ cannot be had.
  std::optional<Goal> futile_aged_;
  // Of a goal that could not be read: what is being looked through, and was damage found?
  std::set<LedgerId> suspects_;
  std::map<LedgerId, std::deque<Fault>> faults_;  // bounded by keep_fault()
  bool damage_found_ = false;
  bool isolating_ = false;  // after a refusal of several changes at once: one change at a time
  TimeMs look_again_ms_ = kNever;  // boot clock: time changes something then
  TimeMs keep_time_ms_ = kNever;   // boot clock
  std::vector<AgentEffect> effects_;
};

}  // namespace notp
