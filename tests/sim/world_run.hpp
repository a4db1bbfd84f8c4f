// One run of a world. Its parts: world.cpp (time and stories), world_agent.cpp (processes, effects
// of cores), world_network.cpp (sessions), world_recovery.cpp (a registry that has lost releases),
// world_check.cpp (invariants), world_logs.hpp (decision records), world_tree.cpp (a registry that
// lies about them).
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <queue>
#include <set>

#include "common/crypto/digest.hpp"
#include "common/limits.hpp"
#include "notp-client/agent/core/agent_core.hpp"
#include "protocol/serve/class_table.hpp"
#include "tests/sim/clock_oracle.hpp"
#include "tests/sim/memory_store.hpp"
#include "tests/sim/sim_gate.hpp"
#include "tests/sim/sim_recovery.hpp"
#include "tests/sim/sim_session.hpp"
#include "tests/sim/world.hpp"
#include "tests/sim/world_logs.hpp"
#include "tests/sim/world_port.hpp"

namespace notp::sim {

inline constexpr TimeMs kSafetyMs = 180'000;    // publishes and faults happen within
inline constexpr TimeMs kLivenessMs = 120'000;  // after the last fault: converged at the end
inline constexpr TimeMs kOutageStartMs = 60'000;
inline constexpr TimeMs kWallStartMs = 1'790'000'000'000;
inline constexpr TimeMs kPdpSlowMs = 1'500;

// One connection: the client's session lives in the agent's core, the server's here.
struct Link {
  uint64_t id = 0;
  Conduct conduct = Conduct::kHonest;
  session::ClientSession* client = nullptr;
  std::unique_ptr<SimCatalog> catalog;
  std::unique_ptr<SimFreshness> freshness;
  std::unique_ptr<serve::ClassTable> classes;  // null: the honest sessions' own
  std::unique_ptr<session::ServerSession> server;
  TimeMs to_server_ms = 0, to_client_ms = 0;  // arrival of the last bytes in flight: keeps order
};

// The release that a PDP decides with.
struct Decided {
  agent::DesiredRelease desired;
  Hash release;
};

// Since when a PDP has decided with a release that it should not use any more; kNever: it does not.
struct Overdue {
  Hash release;
  TimeMs aged_ms = kNever, withdrawn_ms = kNever;
};

// The highest values that a store durably held.
struct Highest {
  uint64_t root = 0;
  std::pair<size_t, uint64_t> sequence;  // under the freshness key with this number
  TimeMs high_water_ms = 0;
  std::map<model::LedgerId, trust::Floor> floor;
  std::map<model::LedgerId, std::pair<size_t, trust::Floor>> listed;  // with the key's number
};

struct Agent {
  size_t index = 0;
  uint64_t life = 0;  // counts processes: events of an earlier one are dropped
  MemoryStore store;
  std::unique_ptr<agent::AgentCore> core;  // null while the process is down
  std::unique_ptr<Link> link;
  std::map<model::LedgerId, Decided> pdp;  // empty after a restart
  TimeMs partitioned_until_ms = 0;
  TimeMs skew_ms = 0;                         // of the wall clock
  TimeMs boot_origin_ms = 0;                  // when the machine was switched on
  TimeMs store_free_ms = 0, pdp_free_ms = 0;  // both do one job at a time
  uint64_t activations = 0;                   // number of the last Activate
  // Next scheduled deadline of the core, the client and the server session.
  std::array<TimeMs, 3> armed_ms = {kNever, kNever, kNever};

  // The checker's own records.
  ClockOracle clock;
  Highest highest;
  // Of the store, at the last check.
  uint64_t checked_writes = UINT64_MAX, checked_releases = UINT64_MAX;
  std::map<Hash, TimeMs> vouched_ms;    // by statements, in trusted time
  std::map<Hash, TimeMs> installed_ms;  // of stored releases: when each attested itself
  std::map<model::LedgerId, std::set<Hash>> withdrawn;  // in the last accepted statement
  std::map<model::LedgerId, Overdue> overdue;
  std::set<Hash> unreadable;  // releases that this process could not read
};

class World final : private WorldPort {
 public:
  explicit World(const WorldOptions& options);
  Verdict run();

 private:
  // --- time and stories
  Now registry_now() const { return {kWallStartMs + now_ms_, now_ms_}; }
  TimeMs time_ms() const override { return now_ms_; }
  void at(TimeMs delay_ms, Action action) override;
  // Like at(), but dropped when the agent's process has died by then.
  void at_agent(Agent& agent, TimeMs delay_ms, Action action);
  void note(std::string_view what, size_t agent, const std::string& detail = {}) override;
  void violation(size_t agent, const std::string& text) override;
  bool faulty() const override {
    return options_.faults && options_.outage_ms == 0 && !healed_ &&
           options_.tree_attack == TreeAttack::kNone;
  }
  void tell_days_of_faults();
  void tell_outage();
  void tell_recovery();
  void tell_tree_attack();
  void run_until(TimeMs end_ms);
  void publish(const model::LedgerId& ledger, bool pdp_may_refuse);
  void publish_somewhere();
  // Some nodes stay at the head of a ledger for a while.
  void hold_some(const model::LedgerId& ledger);
  void target_changed(const model::LedgerId& ledger);
  void withdraw();
  void change_roots();
  void roots_changed();
  void steal();
  void heal();
  // Where a head cannot be what every node ends with.
  void publish_clean_heads();
  void random_fault();
  void clock_jumps(Agent& agent);
  void set_clock(Agent& agent, TimeMs skew_ms);

  // --- processes
  Now now(const Agent& agent) const {
    return {kWallStartMs + now_ms_ + agent.skew_ms, now_ms_ - agent.boot_origin_ms};
  }
  // The clocks for a call into the core, which reads them.
  Now look(Agent& agent);
  void boot(Agent& agent);
  void crash(Agent& agent);
  // A clean stop: the process has completed its writes.
  void stop(Agent& agent);
  void settle(Agent& agent);
  void on_store(Agent& agent, Action write, Action then = {});
  void run_effect(Agent& agent, agent::effect::Connect& effect);
  void run_effect(Agent&, agent::effect::TracedOffer&) {}
  void run_effect(Agent& agent, agent::effect::Install& effect);
  void run_effect(Agent& agent, agent::effect::ScanContent& effect);
  void run_effect(Agent& agent, agent::effect::GiveBack& effect);
  void run_effect(Agent& agent, agent::effect::Activate& effect);
  void run_effect(Agent& agent, agent::effect::Persist& effect);
  void run_effect(Agent& agent, agent::effect::Aged& effect);
  void run_effect(Agent&, agent::effect::SourceChanged&) {}
  void run_effect(Agent&, agent::effect::RootAged&) {}
  void run_effect(Agent&, agent::effect::Answered&) {}
  void run_effect(Agent& agent, agent::effect::LogGranted& effect);
  void run_effect(Agent&, agent::effect::LaneInput&) {}
  void run_effect(Agent& agent, agent::effect::ReceiptArrived& effect);
  void run_effect(Agent& agent, agent::effect::Alarm& effect);
  void run_effect(Agent& agent, agent::effect::Changed& effect);
  void pdp_decides(Agent& agent, const agent::effect::Activate& what);
  // Hands it to the PDP when the store has composed it.
  void give_pdp(Agent& agent, agent::effect::Activate what, TimeMs composed_ms);
  void judge(Agent& agent, agent::effect::Activate& what, uint64_t number);
  GateSite gate_site(Agent& agent);
  void record_decisions(Agent& agent);

  // --- what decision records need of a node
  void at_node(size_t node, TimeMs delay_ms, Action action) override {
    at_agent(*agents_[node], delay_ms, std::move(action));
  }
  TimeMs wall_ms(size_t node) const override { return now(*agents_[node]).wall_ms; }
  bool is_running(size_t node) const override { return agents_[node]->core != nullptr; }
  std::optional<record::ActiveSet> active_set(size_t node) const override;
  void crash_node(size_t node) override;
  void restart_node(size_t node) override;
  void cut_node(size_t node) override;
  void send_grant(size_t node, uint64_t link, const wire::LogGrant& grant) override;
  bool send_receipt(size_t node, uint64_t link, const wire::LogReceipt& receipt) override;
  void tell_tree(size_t node) override;
  std::string tree_refused(size_t node) const override;
  std::string receipts_overdue(size_t node) const override;
  void refuse_log(size_t node, const Error& error) override;
  std::string log_refused(size_t node) const override;

  // --- the network
  Conduct choose_conduct();
  void connect(Agent& agent);
  void cut(Agent& agent);
  void pump(Agent& agent);
  void deliver(Agent& agent, bool to_server, Bytes bytes);
  void serve(Agent& agent);
  void give_artifact(Link& link, const session::server_event::ArtifactNeeded& need);
  TimeMs deadline_of(Agent& agent, size_t timer) const;
  void arm_deadlines(Agent& agent);
  void fire_deadline(Agent& agent, size_t timer);

  // --- a registry that has lost releases
  SimRecovery::Handlers recovery_handlers();
  void restore_registry(const SimRegistry::Copy& copy);
  void recovered();
  // Whether nothing may be published now.
  bool is_behind() const { return registry_.is_restored() && !options_.publishes_while_lost; }
  void tell_recovery(Agent& agent, session::ServerEvent& event);
  void check_recovered();

  // --- invariants
  void check(Agent& agent);
  void check_store(Agent& agent);
  void check_trust(Agent& agent, const store::StoreState& state, bool durable);
  void check_content(Agent& agent, const model::LedgerId& ledger,
                     const store::StoredLedger& stored);
  void check_active(Agent& agent);
  void check_age(Agent& agent, const model::LedgerId& ledger, const Decided& decided,
                 const PublishedRelease& release);
  void check_installed(Agent& agent, const agent::InstallRequest& request,
                       const store::StoredRelease& stored);
  void check_accepted(Agent& agent, const store::FreshnessKeep& keep);
  // Of an honest session: a statement that it sent, and its end.
  void check_attested(Agent& agent, const trust::Freshness& statement);
  void check_closed(Agent& agent, const Error& error);
  void check_aged(Agent& agent, const agent::effect::Aged& aged);
  void check_crash(Agent& agent);
  void check_boot(Agent& agent, const agent::AgentTrust& trust, const store::StoreState& state);
  void check_expired();
  void check_converged();
  void remember_install(Agent& agent, const Hash& hash);
  TimeMs attested_ms(const Agent& agent, const Hash& release) const;
  void remember_statement(Agent& agent, const trust::Freshness& statement, bool attests);

  struct Event {
    TimeMs at_ms;
    uint64_t sequence;
    Agent* agent;   // null: of the world
    uint64_t life;  // of the agent's process that it is for
    Action action;
    bool operator>(const Event& other) const {
      return std::tie(at_ms, sequence) > std::tie(other.at_ms, other.sequence);
    }
  };

  const WorldOptions options_;
  SimRegistry registry_;
  AllRights rights_;
  Recordings recordings_;
  Theft theft_;
  SimCatalog catalog_{registry_, Conduct::kHonest, {}};
  SimFreshness freshness_{registry_, catalog_, Conduct::kHonest, {}, recordings_, random()};
  serve::ClassTable classes_{catalog_, freshness_};
  std::vector<std::unique_ptr<Agent>> agents_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  TimeMs now_ms_ = 1'000;
  bool healed_ = false;
  uint64_t sequence_ = 0;
  uint64_t next_link_ = 1;
  Sha256 trace_;
  Verdict verdict_;
  LogWorld logs_;
  SimRecovery recovery_;
  SimGate gate_{*this, registry_};
  // The first release of each version that a node installed.
  std::map<std::pair<model::LedgerId, uint64_t>, Hash> first_installed_;
};

}  // namespace notp::sim
