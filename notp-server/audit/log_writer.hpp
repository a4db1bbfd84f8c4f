// The thread that takes in what nodes ship: it decides with LogIngest, and writes segments of many
// nodes in one transaction.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/audit/audit_limits.hpp"
#include "notp-server/audit/catch_up.hpp"
#include "notp-server/audit/ingest.hpp"
#include "notp-server/audit/tree_sink.hpp"

namespace notp::audit {

struct LogWriterOptions {
  std::function<Now()> clock = read_clock;
  // Segments that wait. One that finds no room is turned away with a window of 0.
  size_t queue_max = limits::kIngestQueueMax;
  uint64_t queue_bytes_max = limits::kIngestBytesMax;
  size_t catching_up_max = limits::kCatchingUpMax;
  int64_t retry_ms = limits::kIngestRetryMs;
  std::function<void(FaultKind)> on_fault = [](FaultKind) {};
  // Gets a leaf for each segment that is stored, and each fault; it outlives the writer. Null:
  // there is no tree.
  TreeSink* tree = nullptr;
};

// Thread-safe. `done` is called exactly once, on the writer's thread or in stop(), and must not
// block; its grant is what the session sends.
//
// Back-pressure: a window is constant, and an answer comes after the commit. A node that has more
// to ship than the registry has waits for its grant until it has a place among those that catch up.
// A commit that fails is repeated until it succeeds: no answer goes out meanwhile. While the tree
// has no room, nothing is taken. Leaves that a crash has lost are made again, before anything else.
class LogWriter {
 public:
  using Done = std::function<void(wire::LogGrant grant)>;

  // `store` outlives it, and has no other writer.
  LogWriter(AuditStore& store, LogWriterOptions options);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Reads the store's logs and starts the thread. kIo, kCorrupt.
  Result<void> start();
  // Ends after the commit that is under way; what waits is answered with a window of 0, and not
  // stored. Blocking; a second call does nothing.
  void stop();

  // `node` is the identity of the session's peer.
  void offered(std::string node, wire::LogOffer offer, Done done);
  void announced(std::string node, record::LogId log, Bytes announcement, Done done);
  void arrived(std::string node, record::Segment segment, Done done);

  // The key of a log that was offered since the start.
  std::optional<PublicKey> key_of(const record::LogId& log) const;
  const IntakeCounters& counters() const { return counters_; }

 private:
  struct Announced {
    record::LogId log;
    Bytes announcement;
  };
  struct TurnedAway {
    record::LogId log;
  };
  struct Job {
    std::string node;
    std::variant<wire::LogOffer, Announced, TurnedAway, record::Segment> what;
    Done done;
  };
  using Jobs = std::deque<Job>;
  // What goes out after the commit.
  struct Answer {
    wire::LogGrant grant;
    Done done;
  };
  struct Round {
    std::vector<StoredSegment> segments;
    std::vector<Answer> answers;
  };

  void run();
  void add(Job job);
  bool wait_for_work(Jobs& urgent, Jobs& segments);
  void handle(Job& job);
  void handle_segments(Jobs& jobs);
  void commit(Round& round);
  bool store_round(const Round& round);
  bool is_stopping() const;
  bool pause();
  void log_entry(const record::TreeEntry& entry);
  void complete_tree();
  // The segments of a log from a position on. False: the writer stops.
  bool complete_tree(const StoredLog& log, record::Position from);
  void remember_key(const wire::LogGrant& grant);
  void grant_places();
  void answer_when_placed(const wire::LogOffer& offer, wire::LogGrant grant, Done done);
  void turn_away_all();
  static record::LogId log_of(const Job& job);

  AuditStore& store_;
  const LogWriterOptions options_;
  IntakeCounters counters_;

  // Of the thread.
  LogIngest ingest_;
  CatchUp catch_up_;
  std::deque<std::pair<wire::LogOffer, Done>> without_place_;
  bool is_abandoned_ = false;  // a commit was given up: the trees in memory are ahead of the store

  mutable Mutex mutex_;
  ConditionVariable wake_;
  Jobs urgent_ NOTP_GUARDED_BY(mutex_);  // all but segments
  Jobs segments_ NOTP_GUARDED_BY(mutex_);
  uint64_t segment_bytes_ NOTP_GUARDED_BY(mutex_) = 0;
  std::map<record::LogId, PublicKey> keys_ NOTP_GUARDED_BY(mutex_);
  bool stopping_ NOTP_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace notp::audit
