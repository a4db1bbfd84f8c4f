// What nodes have answered, and what a registry must therefore have: the checker of decision
// records (design/reliability.md, invariant 5).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "notp-client/spool/decision_log.hpp"
#include "tests/sim/memory_audit_store.hpp"
#include "tests/sim/sim_log.hpp"
#include "tests/sim/world_port.hpp"

namespace notp::sim {

// One thread.
class LogOracle {
 public:
  explicit LogOracle(WorldPort& world) : world_(world) {}

  // --- logs
  void log_begins(size_t node, const LogDisk::Table& table, bool may_drop);
  // Its disk is gone: what is not among the `stored` records that the registry has by then is lost.
  void log_destroyed(const record::LogId& log, record::Position stored);
  // The node goes on with an older copy of the log, which ends at `end`: records from there on
  // are lost, and the registry may have others at their positions.
  void log_restored(const record::LogId& log, record::Position end);
  bool is_restored(const record::LogId& log) const { return logs_.at(log).is_restored; }
  // The registry has said falsely, or does not know any more, what it has of the log.
  void registry_misled(const record::LogId& log) { logs_.at(log).may_be_refused = true; }
  // The registry's store was put back.
  void registry_restored(const MemoryAuditStore& store);
  // An operator ends a log that is refused. A violation unless something was restored or a registry
  // has lied.
  void check_refusal(const record::LogId& log, const std::string& why);
  // A segment of the log was sealed.
  void sealed(const spool::SealedLog& log) { logs_.at(log.log).roots.insert({log.size, log.root}); }

  // --- decisions
  // The next decision's id, which it has as its req_id.
  uint64_t next_id() const { return decisions_.size() + 1; }
  void written(size_t node, const SimLog& log, record::Position position, bool is_strict,
               spool::ActiveSetPtr active);
  // Strict ones below `end` that were written in this process.
  void durable(const record::LogId& log, uint32_t run, record::Position end);

  // --- the registry
  // The segments that a commit has made durable.
  void stored(const audit::StoredSegment& segment, record::Position size_before);
  // At the end: what the registry has is whole, and everything that must be there is.
  void check(const MemoryAuditStore::Image& registry);
  // At the end: the registry has all of the log.
  void check_arrived(const SimLog& log, size_t node, const MemoryAuditStore& registry);

  uint64_t answered() const { return answered_; }
  // Those that the registry lacks, also for a good reason.
  uint64_t lost() const { return lost_; }
  uint64_t records() const { return records_; }
  uint64_t gaps() const { return gaps_; }

 private:
  struct Decision {
    size_t node = 0;
    record::LogId log;
    uint32_t run = 0;
    record::Position position = 0;
    bool is_strict = false, is_answered = false, may_be_lost = false, is_found = false;
    spool::ActiveSetPtr active;
  };
  // Also a body that was dropped, which may have held one: then until the next record.
  struct Gap {
    record::Position position = 0;
    uint64_t count = 0;
    uint32_t run = 0, next_run = UINT32_MAX;  // of the start that follows
  };
  struct Log {
    size_t node = 0;
    std::optional<record::LogId> previous;
    std::string reason;
    bool may_drop = false, may_be_refused = false, is_destroyed = false, is_restored = false;
    std::set<std::pair<record::Position, Hash>> roots;
    std::set<std::pair<uint32_t, record::Position>> addresses;
    std::vector<uint64_t> strict;  // decisions that are not durable yet
    // As the registry has it.
    std::vector<Gap> gaps;
    std::vector<std::pair<record::Position, record::Position>> pruned;
  };
  struct Walk;

  void check_announcement(const audit::StoredLog& stored, const Log& log);
  void walk(const MemoryAuditStore::Log& stored, Log& log);
  void walk_segment(Walk& walk, const record::Segment& segment);
  void walk_record(Walk& walk, const record::Record& record);
  void walk_decision(Walk& walk, const record::Record& record, uint64_t id);
  // Decisions from a position on need not be at the registry.
  void excuse(const record::LogId& log, record::Position first);
  bool is_covered(const Decision& decision) const;

  WorldPort& world_;
  std::map<record::LogId, Log> logs_;
  std::vector<Decision> decisions_;
  uint64_t answered_ = 0, lost_ = 0, records_ = 0, gaps_ = 0;
};

}  // namespace notp::sim
