// Decision records in a world: nodes that decide and keep a log, their faults, and the shipping of
// it. What runs is the Shipper, the sessions and the registry's intake; this class does with them
// what LogUploader and SessionHost do.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "notp-client/agent/core/receipt_watch.hpp"
#include "notp-client/spool/shipper.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/session/server/server_events.hpp"
#include "tests/sim/log_oracle.hpp"
#include "tests/sim/sim_intake.hpp"
#include "tests/sim/sim_log.hpp"
#include "tests/sim/world.hpp"
#include "tests/sim/world_port.hpp"

namespace notp::sim {

// One thread. A node is named by its agent's index. Two of five keep a log, in an outage all: the
// others show that one without a log is not disturbed, and leave the simulator its speed.
class LogWorld {
 public:
  LogWorld(WorldPort& world, const WorldOptions& options);

  // --- stories
  // Nodes decide until then.
  void begin(TimeMs until_ms);
  // Disks and the registry have faults until then.
  void begin_faults(TimeMs until_ms);
  // Operators begin to look after logs that are refused.
  void heal();
  // Crashes the node in a moment in which its log has something to lose. False: it has none.
  bool crash_soon(size_t node);

  // --- processes
  void booted(size_t node);
  void crashed(size_t node, bool is_machine);
  void stopped(size_t node);

  // --- sessions
  // Returns the offer for the Hello of a session that begins.
  std::optional<wire::LogOffer> connecting(size_t node, uint64_t link);
  void connected(size_t node, session::ClientSession& session);
  void disconnected(size_t node);
  bool is_lied_to(size_t node) const;
  // As LogUploader::granted().
  Result<void> granted(size_t node, const wire::LogGrant& grant);
  // What the registry's session reports.
  void on_event(size_t node, const session::server_event::LogOffered& event);
  void on_event(size_t node, session::server_event::LogAnnounced& event);
  void on_event(size_t node, session::server_event::SegmentArrived& event);
  void on_event(size_t node, const session::server_event::WitnessArrived& event);
  // As LogUploader::on_receipt() and tree_witness().
  void on_receipt(size_t node, const wire::LogReceipt& receipt);
  agent::TreeWitness tree_witness(size_t node) const;
  bool keeps_log(size_t node) const { return sites_[node] != nullptr; }

  // --- the story of a registry that lies (world_tree.cpp)
  void begin_attack(TreeAttack attack, TimeMs when_ms);
  // It must have been noticed.
  void check_attack(const AuditVerify& verify, Verdict& verdict);

  // The end of a run: everything must have arrived.
  void check_arrived();
  void count(Verdict& verdict) const;

 private:
  enum class DiskFault : uint8_t { kDeleted, kDamaged, kRestored };
  struct Shipping {
    spool::Shipper shipper;
    session::ClientSession* session = nullptr;
    uint64_t number = 0;  // of the session
    bool is_loading = false;
    LogPeer peer;
  };
  struct Site {
    SimLogTerms terms;
    std::unique_ptr<SimLog> log;  // null before the first start
    size_t logs = 0;              // begun so far
    uint64_t machine_starts = 0;
    Shipping shipping;
    spool::ActiveSetPtr active;
    TimeMs seal_armed_ms = kNever;
    bool is_sync_armed = false, crashes_at_seal = false;
    std::optional<DiskFault> fault;  // found at the next start
    bool accepts_tree = false;       // likewise
    // Since the tree was refused: records that must be kept from there on, and of which log.
    std::optional<std::pair<record::LogId, record::Position>> evidence;
    std::optional<LogDisk> backup;
  };

  int64_t wall_ns(size_t node) const;
  void open_log(size_t node);
  void begin_log(size_t node, std::optional<record::LogId> previous, std::string reason);
  void find_fault(size_t node);
  void decide(size_t node);
  void sync_soon(size_t node, TimeMs delay_ms);
  void seal_in_time(size_t node);
  void seal(size_t node);
  void ship(size_t node);
  void send(size_t node, record::Position first);
  void break_disk(size_t node, DiskFault fault);
  void back_up(size_t node);
  void restart_registry();
  void cut_sessions();
  void look_after_logs();
  void verify_receipt(size_t node, const wire::LogReceipt& receipt);
  // After `delay_ms`, if the session is the same then.
  void verify_receipt_later(size_t node, const wire::LogReceipt& receipt, TimeMs delay_ms);
  void check_receipts(size_t node);
  void check_evidence(size_t node);
  bool lacks_receipts(size_t node) const;
  void tell_lie();
  // Of the registry's tree, as the node's disk has it; nullopt: none, or the next one is the first.
  std::optional<record::Checkpoint> kept_checkpoint(size_t node) const;

  WorldPort& world_;
  const bool is_outage_, is_attack_;
  std::vector<std::unique_ptr<Site>> sites_;  // null: the node keeps no log
  LogOracle oracle_{world_};
  SimIntake intake_{world_, oracle_};
  std::map<std::string_view, uint64_t> sessions_;
  TreeAttack attack_ = TreeAttack::kNone;
  size_t victim_ = 0;
  bool has_lied_ = false;
};

}  // namespace notp::sim
