// The state of every node as last reported, for the operators of the fleet.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/limits.hpp"
#include "common/mutex.hpp"
#include "common/result.hpp"
#include "notp-server/fleet/log_lags.hpp"
#include "notp-server/fleet/measures.hpp"
#include "notp-server/fleet/released_versions.hpp"
#include "protocol/trust/statements.hpp"
#include "protocol/wire/messages.hpp"

namespace SQLite {
class Database;
class Statement;
}  // namespace SQLite

namespace notp::fleet {

// Reports are merged in memory, one entry for each node and ledger, and the thread that owns the
// database writes them in one transaction every kFlushMs: a fleet that reconnects at once costs a
// few fsyncs. A crash of the registry loses at most the reports of that time; the nodes report
// again when they reconnect. Attestations on open sessions stay in memory until they no longer
// change: renewals cost no write, and a crash makes a node look older than it is, never younger.
// Thread-safe; node_seen(), report() and attested() never wait for the disk.
class Fleet {
 public:
  static constexpr int64_t kFlushMs = 200;
  static constexpr size_t kPendingMax = 65'536;  // nodes with unwritten changes
  // Per node: as many as one answer can name. Beyond it those with the oldest reports are dropped.
  static constexpr size_t kLedgersPerNodeMax = limits::kLedgersPerSessionMax;
  static constexpr int64_t kReconnectMs = 2 * limits::kBackoffMaxMs;
  static constexpr size_t kRefusalsMax = 10'000;
  static constexpr size_t kRefusalBytesMax = 1'024;  // of one message
  // Limits over all nodes.
  struct Bounds {
    size_t nodes = 100'000;  // beyond it, disconnected nodes are dropped, least recently seen first
    size_t pending_bytes = 64 << 20;  // of messages that are not written yet
  };

  // Opens or creates the database; every node in it counts as disconnected. kCorrupt, kIo.
  static Result<std::unique_ptr<Fleet>> open(const std::filesystem::path& file, Bounds bounds);
  static Result<std::unique_ptr<Fleet>> open(const std::filesystem::path& file) {
    return open(file, Bounds());
  }
  // Writes pending reports.
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // A node connected, disconnected or was active. `connected`: it has a session now. kOverloaded
  // when the disk does not keep up and kPendingMax nodes wait.
  Result<void> node_seen(const std::string& identity, const std::string& user_agent, bool connected,
                         TimeMs now_ms);
  // A node's report on one ledger. `version` and `state` are those of its last report,
  // `active_version` that of its last ACTIVE one: a rejected release leaves the previous one
  // active. `since_ms` is the time of the first identical report. The caller has checked that the
  // node may have the ledger. kOverloaded as above.
  Result<void> report(const std::string& identity, const wire::Commit& commit, TimeMs now_ms);

  // Sets what a node wants in the session that it has just opened; earlier subscriptions no longer
  // count. At most kLedgersPerSessionMax are kept. kOverloaded as above.
  Result<void> subscribed(const std::string& identity, const std::vector<model::LedgerId>& ledgers);

  // A node ended its session because of what this registry sent, for example after the registry was
  // restored from an older copy. list() shows it in the rows of the ledgers that `why` names, or in
  // all of them, until the node reports again; for a node that never reported, in rows of what it
  // wants. Kept in memory, because the node repeats it as long as the cause lasts. Beyond
  // kRefusalsMax nodes the first ones are kept.
  void refused(const std::string& identity, const Error& why);

  // A person lets a release go that the replay gate of the node holds, as its last report says;
  // kNotFound: it does not. Durable when it returns, until the node reports that it decides with
  // this version or a later one. Blocks on the disk. kIo, kCorrupt.
  Result<void> release_held(const std::string& identity, const model::LedgerId& ledger,
                            uint64_t version);
  // Whether the node reports what release_held() was called for: it has to be told.
  bool is_released(const std::string& identity, const wire::Commit& report);

  // A statement was sent to a connected node: if the node decides with one of these heads, that
  // head was the newest when the statement was issued.
  void attested(const std::string& identity, const trust::Freshness& statement);

  // What becomes of a node's log of decision records: as in LogLags, which says what a lag is.
  void log_offered(const std::string& identity, uint64_t oldest_age_ms, TimeMs now_ms);
  void log_compared(const std::string& identity, bool has_all, TimeMs now_ms);
  void segment_arrived(const std::string& identity, TimeMs arrived_ms);
  void segment_stored(const std::string& identity, TimeMs arrived_ms, uint64_t oldest_age_ms);
  void segment_not_stored(const std::string& identity, TimeMs arrived_ms);
  // Since when records are missing of the node that is furthest behind; 0: none are of any node.
  TimeMs log_lag_since_ms();

  // Counts the nodes from now on, and tells `activated` how long releases took: once for each node
  // and release, after the report is written, on the owner's thread. Two releases that a node
  // activates within kFlushMs count once. Before the first report. Another call may
  // follow, with `activated` where the first had none.
  void measure(std::function<void(TimeMs took_ms)> activated = {});
  Measures& measures() { return measures_; }

  // Nodes by identity, after `after`, with all reports so far; head_version is left 0, `freshness`
  // is as the node last reported, `vouched_ms` that of its active release; 0: never attested.
  // `more`: rows were left out because their number or a Response's size is reached. Blocks on the
  // disk. kIo, kCorrupt.
  struct Page {
    std::vector<wire::NodeRow> nodes;
    bool more = false;
  };
  Result<Page> list(const std::string& after, size_t rows_max);
  // A node that subscribes to both, by its last session; nullopt: none does. Blocks on the disk.
  // kIo, kCorrupt.
  Result<std::optional<std::string>> subscribed_together(const model::LedgerId& a,
                                                         const model::LedgerId& b);
  // How far a release has come among the nodes that were granted its ledger in the last session of
  // each, with all reports so far. A node without a session is `reconnecting` when it was seen, or
  // this registry started (`started_ms`), less than kReconnectMs ago, unless its last report says
  // that it decides with the version; else it is offline. Reads a row of each of these nodes.
  // Blocks on the disk. kIo, kCorrupt.
  Result<wire::ReleaseStatus> release_status(const model::LedgerId& ledger, uint64_t version,
                                             TimeMs started_ms, TimeMs now_ms);
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
    std::optional<TimeMs> took_ms;           // to make it active, if that is measured
  };
  struct PendingNode {
    bool seen = false;  // user_agent and connected are set
    std::string user_agent;
    bool connected = false;
    TimeMs seen_ms = 0;
    std::optional<std::vector<model::LedgerId>> subscriptions;  // if they are known
    std::map<model::LedgerId, PendingLedger> ledgers;
    std::map<std::pair<model::LedgerId, uint64_t>, TimeMs> attested;  // by ledger and version
    std::optional<TimeMs> lag_since_ms;                               // if it is to be written
  };
  // The last head attested on an open session.
  struct Attestation {
    uint64_t version = 0;
    TimeMs issued_ms = 0;
  };
  struct Refusal {
    ErrorCode code = ErrorCode::kInternal;
    std::string message;
  };
  // What nodes refuse of this registry, by node, and what persons let go.
  struct Exceptions {
    std::map<std::string, Refusal> refusals;
    ReleasedVersions released;
  };
  using Task = std::function<void(SQLite::Database&)>;
  struct Request {
    Task task;
    bool done = false;
    Result<void> result;
  };
  using Requests = std::vector<std::shared_ptr<Request>>;
  using Pending = std::map<std::string, PendingNode>;

  Fleet(std::unique_ptr<SQLite::Database> database, Bounds bounds, LogLags lags,
        ReleasedVersions released);
  void run();
  Result<void> serve(const Pending& batch, const Requests& requests);
  void conclude(const Result<void>& written, Pending batch, const Requests& requests)
      NOTP_REQUIRES(mutex_);
  Result<void> write(const Pending& pending);
  // Adds what this report says for the first time; `before` asks for the one before. Whether there
  // is one.
  static bool add_news(SQLite::Statement& before, const std::string& identity,
                       const model::LedgerId& id, const PendingLedger& ledger, News& news);
  void take_back(Pending unwritten) NOTP_REQUIRES(mutex_);
  Result<PendingNode*> pending_node(const std::string& identity) NOTP_REQUIRES(mutex_);
  void keep_attestation(const std::string& identity, const model::LedgerId& ledger,
                        const Attestation& attestation) NOTP_REQUIRES(mutex_);
  void keep_attestations(const std::string& identity) NOTP_REQUIRES(mutex_);
  // Has the lag of the node's log written, if that is due.
  void keep_lag(const std::string& identity, bool has_departed) NOTP_REQUIRES(mutex_);
  void forget_lags(const std::vector<std::string>& forgotten);
  // Counts a page of them.
  void count_nodes();
  void show_refusal(wire::NodeRow& row) const NOTP_REQUIRES(mutex_);
  bool has_refused(const std::string& identity);
  void show_attestations(wire::NodeRow& row) const NOTP_REQUIRES(mutex_);
  // Runs `task` on the owner's thread after everything pending is written.
  Result<void> after_flush(Task task);

  const std::unique_ptr<SQLite::Database> database_;  // used only by the owner's thread
  const Bounds bounds_;
  Measures measures_;

  Mutex mutex_;
  ConditionVariable wake_;
  ConditionVariable served_;
  Pending pending_ NOTP_GUARDED_BY(mutex_);
  size_t pending_bytes_ NOTP_GUARDED_BY(mutex_) = 0;  // of the messages in it
  // Of nodes that are connected.
  std::unordered_map<std::string, std::map<model::LedgerId, Attestation>> attested_
      NOTP_GUARDED_BY(mutex_);
  Exceptions exceptions_ NOTP_GUARDED_BY(mutex_);
  LogLags lags_ NOTP_GUARDED_BY(mutex_);  // of all nodes that ever offered a log
  Requests requests_ NOTP_GUARDED_BY(mutex_);
  bool stopping_ NOTP_GUARDED_BY(mutex_) = false;
  // The last write failed: logged once, not five times a second.
  bool failing_ NOTP_GUARDED_BY(mutex_) = false;

  std::thread owner_;
};

}  // namespace notp::fleet
