// A registry that takes logs of decisions in: the real LogIngest and CatchUp over a store in
// memory, with a writer that commits as LogWriter does. It crashes, also within a commit, and is
// put back from a backup. A session with a hostile registry never gets here further than to its
// lies.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string_view>
#include <variant>

#include "notp-server/audit/catch_up.hpp"
#include "notp-server/audit/ingest.hpp"
#include "tests/sim/log_oracle.hpp"
#include "tests/sim/memory_audit_store.hpp"
#include "tests/sim/sim_tree.hpp"

namespace notp::sim {

// What the registry's side of a session does with a log.
enum class LogConduct : uint8_t {
  kHonest,
  kNarrow,       // honest, with a window for about one segment
  kTurnsAway,    // has no room for segments
  kRefuses,      // takes no log
  kSilent,       // takes segments and never acknowledges them
  kSwallows,     // acknowledges what it does not store
  kAsksAgain,    // the same, from position 0 on
  kAcksTooMuch,  // acknowledges what it was not sent
};
inline constexpr size_t kLogConducts = 8;
std::string_view log_conduct_name(LogConduct conduct);

// One session of a node.
struct LogPeer {
  size_t node = 0;
  uint64_t link = 0;
  LogConduct conduct = LogConduct::kHonest;
};

// One thread.
class SimIntake {
 public:
  SimIntake(WorldPort& world, LogOracle& oracle);

  // --- what sessions report, in their order
  void offered(const LogPeer& peer, const wire::LogOffer& offer);
  void announced(const LogPeer& peer, const record::LogId& log, Bytes announcement);
  void arrived(const LogPeer& peer, record::Segment segment);
  void witnessed(const LogPeer& peer, const wire::LogWitness& witness);
  void session_ended(uint64_t link) {
    sessions_.erase(link);
    offers_.erase(link);
  }

  // --- faults
  // The registry's process ends and starts again. The caller cuts its sessions.
  void crash();
  // Calls `crash` within the next commit.
  void crash_within_commit(Action crash) { crash_within_commit_ = std::move(crash); }
  void take_backup() { backup_ = {store_.durable(), tree_.backup()}; }
  // An honest operator begins another tree then. False: there is no backup.
  bool restore(bool is_honest = true);
  // As SimTree::attack().
  bool attack(TreeAttack attack, size_t victim) { return tree_.attack(attack, victim, store_); }

  const MemoryAuditStore& store() const { return store_; }
  SimTree& tree() { return tree_; }
  const SimTree& tree() const { return tree_; }
  uint64_t commits() const { return commits_; }

 private:
  struct Announced {
    record::LogId log;
    Bytes announcement;
  };
  struct Job {
    LogPeer peer;
    std::variant<wire::LogOffer, Announced, record::Segment> what;
  };
  // A session hands over one thing after the other.
  struct Session {
    std::deque<Job> waiting;
    bool is_busy = false;
  };
  struct Answer {
    LogPeer peer;
    wire::LogGrant grant;
  };
  // What a registry remembers while it runs.
  struct Process {
    explicit Process(MemoryAuditStore& store);
    audit::IntakeCounters counters;
    audit::LogIngest ingest;
    audit::CatchUp catch_up;
    std::deque<Job> urgent, segments;
    std::deque<std::pair<LogPeer, wire::LogOffer>> without_place;
    std::vector<Answer> answers;  // for when the commit is durable
    bool is_committing = false, is_working = false, is_looking = false;
  };

  void add(Job job);
  void hand_over(Session& session);
  void work();
  void handle(const Job& job);
  void decide_segments();
  void commit(const std::vector<audit::StoredSegment>& round);
  void committed(const std::vector<audit::StoredSegment>& round);
  void answer(const LogPeer& peer, wire::LogGrant grant);
  void answer_when_placed(const LogPeer& peer, const wire::LogOffer& offer, wire::LogGrant grant);
  void grant_places();
  void look_at_places();
  void start();
  void lie(const Job& job);

  WorldPort& world_;
  LogOracle& oracle_;
  MemoryAuditStore store_;
  SimTree tree_;
  std::optional<Process> process_;
  uint64_t life_ = 0;  // counts processes
  std::map<uint64_t, Session> sessions_;
  std::map<uint64_t, wire::LogOffer> offers_;  // by link: not granted yet
  // What was acknowledged: it is never taken back, but by a backup.
  std::map<record::LogId, record::Position> acknowledged_;
  struct Backup {
    MemoryAuditStore::Image store;
    MemoryTreeStore::Image tree;
  };
  std::optional<Backup> backup_;
  Action crash_within_commit_;
  uint64_t commits_ = 0;
};

}  // namespace notp::sim
