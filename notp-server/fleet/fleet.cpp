#include "notp-server/fleet/fleet.hpp"

#include <SQLiteCpp/VariadicBind.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/sqlite.hpp"

namespace notp {
namespace {

constexpr int kSchemaVersion = 1;
constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS nodes (
  identity TEXT PRIMARY KEY,
  agent TEXT NOT NULL,
  connected INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node_ledgers (
  identity TEXT NOT NULL REFERENCES nodes (identity),
  zone INTEGER NOT NULL,
  ledger TEXT NOT NULL,
  version INTEGER NOT NULL,
  state INTEGER NOT NULL,
  active_version INTEGER NOT NULL,
  code INTEGER NOT NULL,
  message TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (identity, zone, ledger)
) STRICT, WITHOUT ROWID;
)";

constexpr const char* kUpsertNode =
    "INSERT INTO nodes VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
    "agent = iif(?5, ?2, agent), connected = iif(?5, ?3, connected), seen_ms = ?4";

constexpr const char* kUpsertLedger =
    "INSERT INTO node_ledgers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
    "ON CONFLICT DO UPDATE SET "
    "since_ms = iif(version = ?4 AND state = ?5, since_ms, ?9), version = ?4, state = ?5, "
    "active_version = iif(?10, ?6, active_version), code = ?7, message = ?8";

void prepare(SQLite::Database& database) {
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  if (version != 0 && version != kSchemaVersion)
    throw SQLite::Exception(fmt::format("the fleet database has format {}, this program reads {}",
                                        version, kSchemaVersion),
                            SQLITE_NOTADB);
  SQLite::Transaction transaction(database);
  database.exec(kSchema);
  database.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  database.exec("UPDATE nodes SET connected = 0 WHERE connected");
  transaction.commit();
}

wire::NodeLedger ledger_row(SQLite::Statement& row) {
  wire::NodeLedger ledger;
  ledger.ledger = {static_cast<uint64_t>(row.getColumn(0).getInt64()), row.getColumn(1)};
  ledger.version = static_cast<uint64_t>(row.getColumn(2).getInt64());
  ledger.state = static_cast<wire::CommitState>(row.getColumn(3).getInt());
  ledger.active_version = static_cast<uint64_t>(row.getColumn(4).getInt64());
  ledger.code = row.getColumn(5).getUInt();
  ledger.message = row.getColumn(6).getString();
  ledger.since_ms = row.getColumn(7).getInt64();
  return ledger;
}

Fleet::Page read_page(SQLite::Database& database, const std::string& after, size_t rows_max) {
  SQLite::Statement nodes(database,
                          "SELECT identity, agent, connected, seen_ms FROM nodes "
                          "WHERE identity > ? ORDER BY identity LIMIT ?");
  SQLite::Statement ledgers(database,
                            "SELECT zone, ledger, version, state, active_version, code, message, "
                            "since_ms FROM node_ledgers WHERE identity = ? ORDER BY zone, ledger");
  nodes.bind(1, after);
  nodes.bind(2, static_cast<int64_t>(rows_max) + 1);
  Fleet::Page page;
  while (nodes.executeStep()) {
    if (page.nodes.size() == rows_max) {
      page.more = true;
      break;
    }
    wire::NodeRow row{nodes.getColumn(0),
                      nodes.getColumn(1),
                      nodes.getColumn(2).getInt() != 0,
                      nodes.getColumn(3).getInt64(),
                      {}};
    ledgers.reset();
    ledgers.bind(1, row.identity);
    while (ledgers.executeStep()) row.ledgers.push_back(ledger_row(ledgers));
    page.nodes.push_back(std::move(row));
  }
  return page;
}

}  // namespace

Result<std::unique_ptr<Fleet>> Fleet::open(const std::filesystem::path& file) {
  NOTP_ASSIGN(std::unique_ptr<SQLite::Database> database, open_database(file));
  NOTP_TRY(sqlite_try(fmt::format("cannot open the fleet database {}", file.string()),
                      [&] { prepare(*database); }));
  return std::unique_ptr<Fleet>(new Fleet(std::move(database)));
}

Fleet::Fleet(std::unique_ptr<SQLite::Database> database)
    : database_(std::move(database)), owner_([this] { run(); }) {}

Fleet::~Fleet() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  owner_.join();
}

Result<Fleet::PendingNode*> Fleet::pending_node(const std::string& identity) {
  const auto found = pending_.find(identity);
  if (found != pending_.end()) return &found->second;
  if (pending_.size() >= kPendingMax)
    return fail(
        ErrorCode::kOverloaded,
        fmt::format("{} nodes wait for the fleet database to take their reports", pending_.size()));
  if (pending_.empty()) wake_.notify_one();
  return &pending_[identity];
}

Result<void> Fleet::node_seen(const std::string& identity, const std::string& agent, bool connected,
                              TimeMs now_ms) {
  const std::scoped_lock lock(mutex_);
  NOTP_ASSIGN(PendingNode * node, pending_node(identity));
  node->seen = true;
  node->agent = agent;
  node->connected = connected;
  node->seen_ms = now_ms;
  return {};
}

Result<void> Fleet::report(const std::string& identity, const wire::Commit& commit, TimeMs now_ms) {
  const std::scoped_lock lock(mutex_);
  NOTP_ASSIGN(PendingNode * node, pending_node(identity));
  const auto known = node->ledgers.find(commit.ledger);
  if (known == node->ledgers.end() && node->ledgers.size() >= limits::kLedgersPerSessionMax)
    return fail(ErrorCode::kOverloaded, fmt::format("{} reports on more than {} ledgers at once",
                                                    identity, limits::kLedgersPerSessionMax));
  PendingLedger& ledger = node->ledgers[commit.ledger];
  const bool same = known != node->ledgers.end() && ledger.last.version == commit.version &&
                    ledger.last.state == commit.state;
  if (!same) ledger.since_ms = now_ms;
  ledger.last = commit;
  if (commit.state == wire::CommitState::kActive) ledger.active_version = commit.version;
  node->seen_ms = now_ms;
  return {};
}

Result<void> Fleet::write(const Pending& pending) {
  return sqlite_try("cannot write the fleet database", [&] {
    SQLite::Transaction transaction(*database_);
    SQLite::Statement nodes(*database_, kUpsertNode);
    SQLite::Statement ledgers(*database_, kUpsertLedger);
    for (const auto& [identity, node] : pending) {
      SQLite::bind(nodes, identity, node.agent, static_cast<int>(node.connected), node.seen_ms,
                   static_cast<int>(node.seen));
      nodes.exec();
      nodes.reset();
      for (const auto& [id, ledger] : node.ledgers) {
        SQLite::bind(ledgers, identity, static_cast<int64_t>(id.zone), id.name,
                     static_cast<int64_t>(ledger.last.version), static_cast<int>(ledger.last.state),
                     static_cast<int64_t>(ledger.active_version.value_or(0)), ledger.last.code,
                     ledger.last.message, ledger.since_ms,
                     static_cast<int>(ledger.active_version.has_value()));
        ledgers.exec();
        ledgers.reset();
      }
    }
    transaction.commit();
  });
}

// What could not be written goes below what came since.
void Fleet::take_back(Pending unwritten) {
  for (auto& [identity, newer] : pending_) {
    PendingNode& node = unwritten[identity];
    if (newer.seen) {
      node.seen = true;
      node.agent = std::move(newer.agent);
      node.connected = newer.connected;
    }
    node.seen_ms = newer.seen_ms;
    for (auto& [id, ledger] : newer.ledgers) {
      PendingLedger& older = node.ledgers[id];
      if (!ledger.active_version) ledger.active_version = older.active_version;
      older = std::move(ledger);
    }
  }
  pending_ = std::move(unwritten);
}

void Fleet::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_ || !pending_.empty() || !requests_.empty()) {
    wake_.wait(lock, [&] { return stopping_ || !pending_.empty() || !requests_.empty(); });
    wake_.wait_for(lock, std::chrono::milliseconds(kFlushMs),
                   [&] { return stopping_ || !requests_.empty(); });
    serve(lock);
    if (stopping_ && failing_) return;
  }
}

// Writes what is pending, then runs what was asked for. `lock` is released meanwhile.
void Fleet::serve(std::unique_lock<std::mutex>& lock) {
  Pending batch = std::exchange(pending_, {});
  const std::vector<std::shared_ptr<Request>> requests = std::exchange(requests_, {});
  lock.unlock();
  const Result<void> written = batch.empty() ? Result<void>{} : write(batch);
  for (const auto& request : requests)
    request->result =
        written ? sqlite_try("cannot read the fleet database", [&] { request->task(*database_); })
                : written;
  lock.lock();
  if (!written) take_back(std::move(batch));
  if (!written && !failing_) log::write(log::Level::kError, "fleet_write_failed", written.error());
  failing_ = !written;
  for (const auto& request : requests) request->done = true;
  served_.notify_all();
}

Result<void> Fleet::after_flush(Task task) {
  const auto request = std::make_shared<Request>();
  request->task = std::move(task);
  std::unique_lock lock(mutex_);
  requests_.push_back(request);
  wake_.notify_one();
  served_.wait(lock, [&] { return request->done; });
  return request->result;
}

Result<Fleet::Page> Fleet::list(const std::string& after, size_t rows_max) {
  Page page;
  NOTP_TRY(after_flush([&](SQLite::Database& database) {
    page = read_page(database, after, std::min(rows_max, limits::kQueryRowsMax));
  }));
  return page;
}

Result<void> Fleet::flush() {
  return after_flush([](SQLite::Database&) {});
}

}  // namespace notp
