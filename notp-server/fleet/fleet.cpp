#include "notp-server/fleet/fleet.hpp"

#include <SQLiteCpp/VariadicBind.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "common/log.hpp"
#include "common/storage/sqlite.hpp"

namespace notp::fleet {
namespace {

constexpr int kSchemaVersion = 6;
// Version 1; later changes are in kMigrations.
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

// From version 1 to 2, and so on.
constexpr std::array<const char*, kSchemaVersion - 1> kMigrations = {R"(
ALTER TABLE node_ledgers ADD COLUMN freshness INTEGER NOT NULL DEFAULT 0;
ALTER TABLE node_ledgers ADD COLUMN vouched_ms INTEGER NOT NULL DEFAULT 0;
)",
                                                                     R"(
ALTER TABLE node_ledgers ADD COLUMN reported_ms INTEGER NOT NULL DEFAULT 0;
)",
                                                                     R"(
CREATE TABLE subscriptions (
  identity TEXT NOT NULL REFERENCES nodes (identity),
  zone INTEGER NOT NULL,
  ledger TEXT NOT NULL,
  PRIMARY KEY (identity, zone, ledger)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscriptions_by_ledger ON subscriptions (zone, ledger);
INSERT INTO subscriptions SELECT identity, zone, ledger FROM node_ledgers;
)",
                                                                     R"(
ALTER TABLE nodes ADD COLUMN lag_since_ms INTEGER;
)",
                                                                     R"(
ALTER TABLE node_ledgers ADD COLUMN released_version INTEGER NOT NULL DEFAULT 0;
)"};

constexpr const char* kUpsertNode =
    "INSERT INTO nodes (identity, agent, connected, seen_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT "
    "DO UPDATE SET "
    "agent = iif(?5, ?2, agent), connected = iif(?5, ?3, connected), "
    "seen_ms = max(seen_ms, ?4)";

// A release that has just become active is not attested yet.
constexpr const char* kUpsertLedger =
    "INSERT INTO node_ledgers (identity, zone, ledger, version, state, active_version, code, "
    "message, since_ms, freshness, reported_ms) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?11, ?12) "
    "ON CONFLICT DO UPDATE SET "
    "since_ms = iif(version = ?4 AND state = ?5, since_ms, ?9), version = ?4, state = ?5, "
    "vouched_ms = iif(?10 AND active_version <> ?6, 0, vouched_ms), "
    "released_version = iif(?10 AND ?6 >= released_version, 0, released_version), "
    "active_version = iif(?10, ?6, active_version), code = ?7, message = ?8, freshness = ?11, "
    "reported_ms = ?12";

constexpr const char* kReportBefore =
    "SELECT version, state, active_version FROM node_ledgers "
    "WHERE identity = ?1 AND zone = ?2 AND ledger = ?3";

constexpr const char* kLag = "UPDATE nodes SET lag_since_ms = ?2 WHERE identity = ?1";

constexpr const char* kAttestation =
    "UPDATE node_ledgers SET vouched_ms = max(vouched_ms, ?5) "
    "WHERE identity = ?1 AND zone = ?2 AND ledger = ?3 AND active_version = ?4";

// For one node (?1), all but the ledgers that it reported on last.
constexpr const char* kForgetLedgers =
    "DELETE FROM node_ledgers WHERE identity = ?1 AND (zone, ledger) NOT IN "
    "(SELECT zone, ledger FROM node_ledgers WHERE identity = ?1 "
    "ORDER BY reported_ms DESC, since_ms DESC, zone, ledger LIMIT ?2)";

// A database of an earlier program without these limits may hold more.
constexpr const char* kCrowdedNodes =
    "SELECT identity FROM node_ledgers GROUP BY identity HAVING count(*) > ?";

// The nodes beyond the newest ?1 that have no session, least recently seen first.
constexpr const char* kForgottenNodes =
    "SELECT identity FROM nodes WHERE NOT connected ORDER BY seen_ms, identity LIMIT "
    "max(0, (SELECT count(*) FROM nodes) - ?1)";

// The number of versions of one node that can wait to be written, for a disk that does not write.
constexpr size_t kPendingAttestationsMax = 4 * limits::kLedgersPerSessionMax;

void execute(SQLite::Statement& statement) {
  statement.exec();
  statement.reset();
}

void forget_ledgers(SQLite::Statement& forget, const std::string& identity) {
  SQLite::bind(forget, identity, static_cast<int64_t>(Fleet::kLedgersPerNodeMax));
  execute(forget);
}

std::vector<std::string> identities(SQLite::Database& database, const char* query, size_t bound) {
  SQLite::Statement statement(database, query);
  statement.bind(1, static_cast<int64_t>(bound));
  std::vector<std::string> out;
  while (statement.executeStep()) out.push_back(statement.getColumn(0));
  return out;
}

// Returns the forgotten ones.
std::vector<std::string> forget_nodes(SQLite::Database& database, size_t nodes_max) {
  SQLite::Statement ledgers(database, "DELETE FROM node_ledgers WHERE identity = ?");
  SQLite::Statement subscriptions(database, "DELETE FROM subscriptions WHERE identity = ?");
  SQLite::Statement nodes(database, "DELETE FROM nodes WHERE identity = ?");
  std::vector<std::string> forgotten = identities(database, kForgottenNodes, nodes_max);
  for (const std::string& identity : forgotten)
    for (SQLite::Statement* statement : {&ledgers, &subscriptions, &nodes}) {
      statement->bind(1, identity);
      statement->exec();
      statement->reset();
    }
  return forgotten;
}

void keep_subscriptions(SQLite::Statement& forget, SQLite::Statement& add,
                        const std::string& identity, const std::vector<model::LedgerId>& ledgers) {
  forget.bind(1, identity);
  execute(forget);
  for (const model::LedgerId& ledger : ledgers) {
    SQLite::bind(add, identity, static_cast<int64_t>(ledger.zone), ledger.name);
    execute(add);
  }
}

void prepare(SQLite::Database& database) {
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  if (version < 0 || version > kSchemaVersion)
    throw SQLite::Exception(fmt::format("the fleet database has format {}, this program reads up "
                                        "to {}",
                                        version, kSchemaVersion),
                            SQLITE_NOTADB);
  SQLite::Transaction transaction(database);
  if (version == 0) database.exec(kSchema);
  for (int from = std::max(version, 1); from < kSchemaVersion; ++from)
    database.exec(kMigrations[static_cast<size_t>(from - 1)]);
  database.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  database.exec("UPDATE nodes SET connected = 0 WHERE connected");
  SQLite::Statement forget(database, kForgetLedgers);
  for (const std::string& identity : identities(database, kCrowdedNodes, Fleet::kLedgersPerNodeMax))
    forget_ledgers(forget, identity);
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
  ledger.freshness = static_cast<trust::FreshnessState>(row.getColumn(8).getInt());
  ledger.vouched_ms = row.getColumn(9).getInt64();
  return ledger;
}

Fleet::Page read_page(SQLite::Database& database, const std::string& after, size_t rows_max) {
  SQLite::Statement nodes(database,
                          "SELECT identity, agent, connected, seen_ms FROM nodes "
                          "WHERE identity > ? ORDER BY identity LIMIT ?");
  SQLite::Statement ledgers(
      database,
      "SELECT zone, ledger, version, state, active_version, code, message, "
      "since_ms, freshness, vouched_ms FROM node_ledgers WHERE identity = ? ORDER BY zone, ledger");
  nodes.bind(1, after);
  nodes.bind(2, static_cast<int64_t>(rows_max) + 1);
  Fleet::Page page;
  size_t bytes = 0;
  while (nodes.executeStep()) {
    if (page.nodes.size() == rows_max || bytes > limits::kFrameBytesMax) {
      page.more = true;
      break;
    }
    wire::NodeRow row{nodes.getColumn(0),
                      nodes.getColumn(1),
                      nodes.getColumn(2).getInt() != 0,
                      nodes.getColumn(3).getInt64(),
                      {},
                      {}};
    ledgers.reset();
    ledgers.bind(1, row.identity);
    while (ledgers.executeStep()) {
      row.ledgers.push_back(ledger_row(ledgers));
      bytes += row.ledgers.back().ledger.name.size() + row.ledgers.back().message.size();
    }
    bytes += row.identity.size() + row.user_agent.size();
    page.nodes.push_back(std::move(row));
  }
  return page;
}

std::vector<wire::NodeLedger> wanted_ledgers(SQLite::Database& database,
                                             const std::string& identity) {
  SQLite::Statement wanted(
      database, "SELECT zone, ledger FROM subscriptions WHERE identity = ? ORDER BY zone, ledger");
  wanted.bind(1, identity);
  std::vector<wire::NodeLedger> out;
  while (wanted.executeStep()) {
    wire::NodeLedger row;
    row.ledger = {static_cast<uint64_t>(wanted.getColumn(0).getInt64()), wanted.getColumn(1)};
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Fleet>> Fleet::open(const std::filesystem::path& file, Bounds bounds) {
  NOTP_ASSIGN(std::unique_ptr<SQLite::Database> database, open_database(file));
  LogLags lags;
  ReleasedVersions released;
  NOTP_TRY(sqlite_try(fmt::format("cannot open the fleet database {}", file.string()), [&] {
    prepare(*database);
    SQLite::Statement row(
        *database, "SELECT identity, lag_since_ms FROM nodes WHERE lag_since_ms IS NOT NULL");
    while (row.executeStep()) lags.restore(row.getColumn(0), row.getColumn(1).getInt64());
    released = ReleasedVersions::read(*database);
  }));
  return std::unique_ptr<Fleet>(
      new Fleet(std::move(database), bounds, std::move(lags), std::move(released)));
}

Fleet::Fleet(std::unique_ptr<SQLite::Database> database, Bounds bounds, LogLags lags,
             ReleasedVersions released)
    : database_(std::move(database)),
      bounds_(bounds),
      exceptions_{.refusals = {}, .released = std::move(released)},
      lags_(std::move(lags)),
      owner_([this] { run(); }) {}

Fleet::~Fleet() {
  {
    const MutexLock lock(mutex_);
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

Result<void> Fleet::node_seen(const std::string& identity, const std::string& user_agent,
                              bool connected, TimeMs now_ms) {
  measures_.seen(identity, connected, now_ms);
  const MutexLock lock(mutex_);
  NOTP_ASSIGN(PendingNode * node, pending_node(identity));
  node->seen = true;
  node->user_agent = user_agent;
  node->connected = connected;
  node->seen_ms = now_ms;
  if (!connected) {
    keep_attestations(identity);
    keep_lag(identity, /*has_departed=*/true);
  }
  return {};
}

Result<void> Fleet::subscribed(const std::string& identity,
                               const std::vector<model::LedgerId>& ledgers) {
  const MutexLock lock(mutex_);
  NOTP_ASSIGN(PendingNode * node, pending_node(identity));
  node->subscriptions = ledgers;
  if (ledgers.size() > limits::kLedgersPerSessionMax)
    node->subscriptions->resize(limits::kLedgersPerSessionMax);
  return {};
}

void Fleet::attested(const std::string& identity, const trust::Freshness& statement) {
  const MutexLock lock(mutex_);
  if (measures_.changed()) wake_.notify_one();
  auto& of_node = attested_[identity];
  for (const trust::FreshHead& head : statement.heads) {
    if (head.version == 0) continue;
    Attestation& attestation = of_node[head.ledger];
    // The node may stay on the previous release; its attestation must not be lost.
    if (attestation.version != 0 && attestation.version != head.version)
      keep_attestation(identity, head.ledger, attestation);
    attestation = {head.version, statement.issued_ms};
  }
  // For sessions that connect and disconnect with other ledgers while another session of the node
  // stays.
  while (of_node.size() > kLedgersPerNodeMax) {
    const auto oldest = std::ranges::min_element(
        of_node, {}, [](const auto& entry) { return entry.second.issued_ms; });
    keep_attestation(identity, oldest->first, oldest->second);
    of_node.erase(oldest);
  }
}

void Fleet::keep_attestation(const std::string& identity, const model::LedgerId& ledger,
                             const Attestation& attestation) {
  const auto node = pending_node(identity);
  if (!node || (*node)->attested.size() >= kPendingAttestationsMax) return;
  TimeMs& kept = (*node)->attested[{ledger, attestation.version}];
  kept = std::max(kept, attestation.issued_ms);
}

void Fleet::keep_attestations(const std::string& identity) {
  const auto node = attested_.extract(identity);
  if (!node) return;
  for (const auto& [ledger, attestation] : node.mapped())
    keep_attestation(identity, ledger, attestation);
}

Result<void> Fleet::report(const std::string& identity, const wire::Commit& commit, TimeMs now_ms) {
  const MutexLock lock(mutex_);
  NOTP_ASSIGN(PendingNode * node, pending_node(identity));
  const auto known = node->ledgers.find(commit.ledger);
  if (known == node->ledgers.end() && node->ledgers.size() >= limits::kLedgersPerSessionMax)
    return fail(ErrorCode::kOverloaded, fmt::format("{} reports on more than {} ledgers at once",
                                                    identity, limits::kLedgersPerSessionMax));
  const size_t before = known == node->ledgers.end() ? 0 : known->second.last.message.size();
  if (commit.message.size() > before &&
      pending_bytes_ + commit.message.size() - before > bounds_.pending_bytes)
    return fail(ErrorCode::kOverloaded,
                fmt::format("{} bytes of reports wait for the fleet database to take them",
                            pending_bytes_));
  pending_bytes_ = pending_bytes_ - before + commit.message.size();
  PendingLedger& ledger = node->ledgers[commit.ledger];
  const bool same = known != node->ledgers.end() && ledger.last.version == commit.version &&
                    ledger.last.state == commit.state;
  if (!same) ledger.since_ms = now_ms;
  ledger.last = commit;
  ledger.reported_ms = now_ms;
  if (commit.state == wire::CommitState::kActive) {
    if (ledger.active_version != commit.version)
      ledger.took_ms = measures_.took_ms(identity, commit, now_ms);
    ledger.active_version = commit.version;
  }
  exceptions_.released.see(identity, commit);
  exceptions_.refusals.erase(identity);
  node->seen_ms = now_ms;
  return {};
}

// A node repeats its reports when it connects again.
bool Fleet::add_news(SQLite::Statement& before, const std::string& identity,
                     const model::LedgerId& id, const PendingLedger& ledger, News& news) {
  const bool is_rejection = ledger.last.state == wire::CommitState::kRejected;
  SQLite::bind(before, identity, static_cast<int64_t>(id.zone), id.name);
  uint64_t version = 0, active_version = 0;
  auto state = wire::CommitState::kStored;
  const bool has_reported = before.executeStep();
  if (has_reported) {
    version = static_cast<uint64_t>(before.getColumn(0).getInt64());
    state = static_cast<wire::CommitState>(before.getColumn(1).getInt());
    active_version = static_cast<uint64_t>(before.getColumn(2).getInt64());
  }
  before.reset();
  if (ledger.active_version && *ledger.active_version != active_version) {
    ++news.activations;
    if (ledger.took_ms) news.measured.push_back({id, *ledger.active_version, *ledger.took_ms});
  }
  if (is_rejection && (state != ledger.last.state || version != ledger.last.version))
    ++news.rejections;
  return has_reported;
}

Result<void> Fleet::write(const Pending& pending) {
  std::vector<std::string> forgotten;
  News news;
  NOTP_TRY(sqlite_try("cannot write the fleet database", [&] {
    SQLite::Transaction transaction(*database_);
    SQLite::Statement nodes(*database_, kUpsertNode);
    SQLite::Statement before(*database_, kReportBefore);
    SQLite::Statement ledgers(*database_, kUpsertLedger);
    SQLite::Statement attestations(*database_, kAttestation);
    SQLite::Statement lags(*database_, kLag);
    SQLite::Statement forget(*database_, kForgetLedgers);
    SQLite::Statement unsubscribe(*database_, "DELETE FROM subscriptions WHERE identity = ?");
    SQLite::Statement subscribe(*database_, "INSERT OR IGNORE INTO subscriptions VALUES (?, ?, ?)");
    for (const auto& [identity, node] : pending) {
      SQLite::bind(nodes, identity, node.user_agent, static_cast<int>(node.connected), node.seen_ms,
                   static_cast<int>(node.seen));
      execute(nodes);
      if (node.lag_since_ms) {
        SQLite::bind(lags, identity, *node.lag_since_ms);
        execute(lags);
      }
      if (node.subscriptions)
        keep_subscriptions(unsubscribe, subscribe, identity, *node.subscriptions);
      bool has_new_ledger = false;
      for (const auto& [id, ledger] : node.ledgers) {
        has_new_ledger |= !add_news(before, identity, id, ledger, news);
        SQLite::bind(
            ledgers, identity, static_cast<int64_t>(id.zone), id.name,
            static_cast<int64_t>(ledger.last.version), static_cast<int>(ledger.last.state),
            static_cast<int64_t>(ledger.active_version.value_or(0)), ledger.last.code,
            ledger.last.message, ledger.since_ms,
            static_cast<int>(ledger.active_version.has_value()),
            static_cast<int>(ledger.last.freshness.value_or(trust::FreshnessState::kUntracked)),
            ledger.reported_ms);
        execute(ledgers);
      }
      if (has_new_ledger) forget_ledgers(forget, identity);
      // After the reports: a release that has just become active may be the attested one.
      for (const auto& [what, issued_ms] : node.attested) {
        const auto& [id, version] = what;
        SQLite::bind(attestations, identity, static_cast<int64_t>(id.zone), id.name,
                     static_cast<int64_t>(version), issued_ms);
        execute(attestations);
      }
    }
    forgotten = forget_nodes(*database_, bounds_.nodes);
    transaction.commit();
  }));
  forget_lags(forgotten);
  measures_.written(news);
  return {};
}

// Merges unwritten changes below newer ones. The limits apply to both together, however long the
// disk does not write.
void Fleet::take_back(Pending unwritten) {
  for (auto& [identity, newer] : pending_) {
    if (unwritten.size() >= kPendingMax && !unwritten.contains(identity)) continue;
    PendingNode& node = unwritten[identity];
    if (newer.seen) {
      node.seen = true;
      node.user_agent = std::move(newer.user_agent);
      node.connected = newer.connected;
    }
    node.seen_ms = std::max(node.seen_ms, newer.seen_ms);
    if (newer.subscriptions) node.subscriptions = std::move(newer.subscriptions);
    if (newer.lag_since_ms) node.lag_since_ms = newer.lag_since_ms;
    for (auto& [id, ledger] : newer.ledgers) {
      PendingLedger& older = node.ledgers[id];
      if (!ledger.active_version) {
        ledger.active_version = older.active_version;
        ledger.took_ms = older.took_ms;
      }
      older = std::move(ledger);
      if (node.ledgers.size() <= kLedgersPerNodeMax) continue;
      node.ledgers.erase(std::ranges::min_element(
          node.ledgers, {}, [](const auto& entry) { return entry.second.reported_ms; }));
    }
    for (const auto& [what, issued_ms] : newer.attested)
      if (node.attested.size() < kPendingAttestationsMax || node.attested.contains(what))
        node.attested[what] = std::max(node.attested[what], issued_ms);
  }
  pending_ = std::move(unwritten);
  pending_bytes_ = 0;
  for (const auto& [identity, node] : pending_)
    for (const auto& [id, ledger] : node.ledgers) pending_bytes_ += ledger.last.message.size();
}

void Fleet::run() {
  MutexLock lock(mutex_);
  while (!stopping_ || !pending_.empty() || !requests_.empty()) {
    while (!stopping_ && pending_.empty() && requests_.empty() && !measures_.has_to_count())
      wake_.wait(lock);
    const auto flush_at = std::chrono::steady_clock::now() + std::chrono::milliseconds(kFlushMs);
    while (!stopping_ && requests_.empty() &&
           wake_.wait_until(lock, flush_at) == std::cv_status::no_timeout) {
    }
    Pending batch = std::exchange(pending_, {});
    pending_bytes_ = 0;
    const Requests requests = std::exchange(requests_, {});
    lock.unlock();
    const Result<void> written = serve(batch, requests);
    lock.lock();
    conclude(written, std::move(batch), requests);
    if (stopping_ && failing_) return;
    if (stopping_ || !written || !measures_.has_to_count()) continue;
    lock.unlock();
    count_nodes();
    lock.lock();
  }
}

// Writes pending reports, then runs the requests.
Result<void> Fleet::serve(const Pending& batch, const Requests& requests) {
  const Result<void> written = batch.empty() ? Result<void>{} : write(batch);
  for (const auto& request : requests)
    request->result =
        written ? sqlite_try("cannot read the fleet database", [&] { request->task(*database_); })
                : written;
  return written;
}

void Fleet::conclude(const Result<void>& written, Pending batch, const Requests& requests) {
  if (!batch.empty()) measures_.changed();
  if (!written) take_back(std::move(batch));
  if (!written && !failing_) log::write(log::Level::kError, "fleet_write_failed", written.error());
  failing_ = !written;
  for (const auto& request : requests) request->done = true;
  served_.notify_all();
}

Result<void> Fleet::after_flush(Task task) {
  const auto request = std::make_shared<Request>();
  request->task = std::move(task);
  MutexLock lock(mutex_);
  requests_.push_back(request);
  wake_.notify_one();
  while (!request->done) served_.wait(lock);
  return request->result;
}

Result<Fleet::Page> Fleet::list(const std::string& after, size_t rows_max) {
  Page page;
  NOTP_TRY(after_flush([&](SQLite::Database& database) {
    page = read_page(database, after, std::min(rows_max, limits::kQueryRowsMax));
    // A node that joined after the backup was made has never reported to a registry restored from
    // it.
    for (wire::NodeRow& row : page.nodes)
      if (row.ledgers.empty() && has_refused(row.identity))
        row.ledgers = wanted_ledgers(database, row.identity);
  }));
  const MutexLock lock(mutex_);
  for (wire::NodeRow& row : page.nodes) {
    show_attestations(row);
    show_refusal(row);
    row.lag_since_ms = lags_.since_ms(row.identity);
  }
  return page;
}

Result<std::optional<std::string>> Fleet::subscribed_together(const model::LedgerId& a,
                                                              const model::LedgerId& b) {
  std::optional<std::string> node;
  NOTP_TRY(after_flush([&](SQLite::Database& database) {
    SQLite::Statement row(database,
                          "SELECT identity FROM subscriptions WHERE zone = ?1 AND ledger = ?2 "
                          "INTERSECT SELECT identity FROM subscriptions WHERE zone = ?3 AND "
                          "ledger = ?4 ORDER BY identity LIMIT 1");
    SQLite::bind(row, static_cast<int64_t>(a.zone), a.name, static_cast<int64_t>(b.zone), b.name);
    if (row.executeStep()) node = row.getColumn(0).getString();
  }));
  return node;
}

void Fleet::show_attestations(wire::NodeRow& row) const {
  const auto node = attested_.find(row.identity);
  if (node == attested_.end()) return;
  for (wire::NodeLedger& ledger : row.ledgers) {
    const auto attestation = node->second.find(ledger.ledger);
    if (attestation != node->second.end() && attestation->second.version == ledger.active_version)
      ledger.vouched_ms = std::max(ledger.vouched_ms, attestation->second.issued_ms);
  }
}

Result<void> Fleet::copy_to(const std::filesystem::path& file) {
  Result<void> copied;
  NOTP_TRY(
      after_flush([&](SQLite::Database& database) { copied = copy_database(database, file); }));
  return copied;
}

Result<void> Fleet::flush() {
  return after_flush([](SQLite::Database&) {});
}

}  // namespace notp::fleet
