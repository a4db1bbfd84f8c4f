// What every node runs, as the nodes last said: for the people who operate the fleet.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/limits.hpp"
#include "common/mutex.hpp"
#include "common/result.hpp"
#include "protocol/trust/statements.hpp"
#include "protocol/wire/messages.hpp"

namespace SQLite {
class Database;
}

namespace notp {

// Reports are folded in memory, one entry for each node and ledger, and written in one transaction
// every kFlushMs by the thread that owns the database: a fleet that comes back at once costs a few
// fsyncs. A crash of the registry forgets at most the reports of that time; the nodes report again
// when they reconnect. What is vouched for on open sessions stays in memory until it no longer
// changes: renewals cost no write, and a crash makes a node look older than it is, never younger.
// Thread-safe; node_seen(), report() and vouched() never wait for the disk.
class Fleet {
 public:
  static constexpr int64_t kFlushMs = 200;
  static constexpr size_t kPendingMax = 65'536;  // nodes with something unwritten
  // Of one node: as many as one answer can name. Of more, those reported on longest ago go.
  static constexpr size_t kLedgersPerNodeMax = limits::kLedgersPerSessionMax;
  static constexpr size_t kRefusalsMax = 10'000;
  static constexpr size_t kRefusalBytesMax = 1'024;  // of one message
  // Over all nodes.
  struct Bounds {
    size_t nodes = 100'000;  // of more, those without a session go that were seen longest ago
    size_t pending_bytes = 64 << 20;  // of messages that are not written yet
  };

  // Opens or creates the database; every node in it counts as disconnected. kCorrupt, kIo.
  static Result<std::unique_ptr<Fleet>> open(const std::filesystem::path& file, Bounds bounds);
  static Result<std::unique_ptr<Fleet>> open(const std::filesystem::path& file) {
    return open(file, Bounds());
  }
  // Writes what is pending.
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // A node came, went or showed life. `connected`: it has a session now. kOverloaded when the disk
  // does not keep up and kPendingMax nodes wait.
  Result<void> node_seen(const std::string& identity, const std::string& agent, bool connected,
                         TimeMs now_ms);
  // A node's word on one ledger. `version` and `state` are those of its last report,
  // `active_version` that of its last ACTIVE one: a rejected release leaves the one before active.
  // `since_ms` is when it first said the same. The caller has checked that the node may have the
  // ledger. kOverloaded as above.
  Result<void> report(const std::string& identity, const wire::Commit& commit, TimeMs now_ms);

  // What a node wants in the session that it has just opened; what it wanted before no longer
  // counts. At most kLedgersPerSessionMax are kept. kOverloaded as above.
  Result<void> subscribed(const std::string& identity, const std::vector<LedgerId>& ledgers);

  // A node ended its session over what this registry showed it, as one that was restored from an
  // older copy does: list() says so in the rows of the ledgers that `why` names, or in all of them,
  // until the node reports again; of a node that never reported, in rows of what it wants. In
  // memory: it repeats it as long as it lasts. Of more than kRefusalsMax nodes the first ones are
  // kept.
  void refused(const std::string& identity, const Error& why);

  // A statement went out to a node that is connected: what it decides with, if it is one of these
  // heads, was the newest when this was issued.
  void vouched(const std::string& identity, const Freshness& statement);

  // Nodes by identity, those behind `after`, with all reported so far; head_version is left 0,
  // `freshness` is as the node last said, `vouched_ms` of its active release; 0: never vouched for.
  // `more`: rows were left out, as their number or what an Answer can hold is reached. Blocks on
  // the disk. kIo, kCorrupt.
  struct Page {
    std::vector<wire::NodeRow> nodes;
    bool more = false;
  };
  Result<Page> list(const std::string& after, size_t rows_max);
  // A node that subscribes to both, by its last session; nullopt: none does. Blocks on the disk.
  // kIo, kCorrupt.
  Result<std::optional<std::string>> subscribed_together(const LedgerId& a, const LedgerId& b);
  // Waits until everything reported so far is durable. Blocks on the disk. kIo, kCorrupt.
  Result<void> flush();
  // copy_database() of everything reported so far.
  Result<void> copy_to(const std::filesystem::path& file);

 private:
  struct PendingLedger {
    wire::Commit last;
    TimeMs since_ms = 0;
    TimeMs reported_ms = 0;
    std::optional<uint64_t> active_version;  // if one was reported since the last write
  };
  struct PendingNode {
    bool seen = false;  // agent and connected were told
    std::string agent;
    bool connected = false;
    TimeMs seen_ms = 0;
    std::optional<std::vector<LedgerId>> subscriptions;  // if they were told
    std::map<LedgerId, PendingLedger> ledgers;
    std::map<std::pair<LedgerId, uint64_t>, TimeMs> vouched;  // by ledger and version
  };
  // The last head vouched for on an open session.
  struct Vouch {
    uint64_t version = 0;
    TimeMs issued_ms = 0;
  };
  struct Refusal {
    ErrorCode code = ErrorCode::kInternal;
    std::string message;
  };
  using Task = std::function<void(SQLite::Database&)>;
  struct Request {
    Task task;
    bool done = false;
    Result<void> result;
  };
  using Pending = std::map<std::string, PendingNode>;

  Fleet(std::unique_ptr<SQLite::Database> database, Bounds bounds);
  void run();
  using Requests = std::vector<std::shared_ptr<Request>>;
  Result<void> serve(const Pending& batch, const Requests& requests);
  void conclude(const Result<void>& written, Pending batch, const Requests& requests)
      NOTP_REQUIRES(mutex_);
  Result<void> write(const Pending& pending);
  void take_back(Pending unwritten) NOTP_REQUIRES(mutex_);
  Result<PendingNode*> pending_node(const std::string& identity) NOTP_REQUIRES(mutex_);
  void keep_vouch(const std::string& identity, const LedgerId& ledger, const Vouch& vouch)
      NOTP_REQUIRES(mutex_);
  void keep_vouches(const std::string& identity) NOTP_REQUIRES(mutex_);
  void show_refusal(wire::NodeRow& row) const NOTP_REQUIRES(mutex_);
  bool has_refused(const std::string& identity);
  void show_vouches(wire::NodeRow& row) const NOTP_REQUIRES(mutex_);
  // Runs `task` on the owner's thread after everything pending is written.
  Result<void> after_flush(Task task);

  const std::unique_ptr<SQLite::Database> database_;  // used by the owner's thread alone
  const Bounds bounds_;

  Mutex mutex_;
  ConditionVariable wake_;
  ConditionVariable served_;
  Pending pending_ NOTP_GUARDED_BY(mutex_);
  size_t pending_bytes_ NOTP_GUARDED_BY(mutex_) = 0;  // of the messages in it
  std::map<std::string, std::map<LedgerId, Vouch>> vouched_
      NOTP_GUARDED_BY(mutex_);  // of nodes that are connected
  std::map<std::string, Refusal> refusals_ NOTP_GUARDED_BY(mutex_);
  Requests requests_ NOTP_GUARDED_BY(mutex_);
  bool stopping_ NOTP_GUARDED_BY(mutex_) = false;
  bool failing_ NOTP_GUARDED_BY(mutex_) =
      false;  // the last write failed: said once, not five times a second

  std::thread owner_;
};

}  // namespace notp
