#include "notp-server/audit/log_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "common/storage/sqlite_values.hpp"
#include "notp-server/audit/audit_limits.hpp"

namespace notp::audit {
namespace {

constexpr int kFormat = 1;
constexpr const char* kStore = "store";  // in meta
// quick_check of SQLite 3.40.1 takes a table WITHOUT ROWID for damaged whose key is not at its
// front.
constexpr const char* kSchema = R"(
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE logs (
  log BLOB PRIMARY KEY,
  node TEXT NOT NULL,
  log_key BLOB NOT NULL,
  announcement BLOB NOT NULL,
  size INTEGER NOT NULL,
  tree BLOB NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  pruned INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE faults (
  id INTEGER PRIMARY KEY,
  log BLOB NOT NULL,
  code INTEGER NOT NULL,
  position INTEGER NOT NULL,
  message TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  checkpoint TEXT NOT NULL,
  segment BLOB NOT NULL,
  UNIQUE (log, code, position, checkpoint)
) STRICT;
CREATE TABLE uncounted_faults (
  log BLOB NOT NULL,
  code INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (log, code)
) STRICT, WITHOUT ROWID;
CREATE TABLE days (
  day INTEGER PRIMARY KEY,
  rows INTEGER NOT NULL,
  first_time_ns INTEGER NOT NULL,
  last_time_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE log_days (
  log BLOB NOT NULL,
  first INTEGER NOT NULL,
  day INTEGER NOT NULL,
  PRIMARY KEY (log, first)
) STRICT, WITHOUT ROWID;
CREATE INDEX log_days_by_day ON log_days (log, day);
)";
// Later tables: a program that does not know them deletes nothing.
constexpr const char* kLaterTables = R"(
CREATE TABLE IF NOT EXISTS holds (
  id TEXT PRIMARY KEY,
  filter BLOB NOT NULL,
  reason TEXT NOT NULL,
  by TEXT NOT NULL,
  placed_ms INTEGER NOT NULL,
  lifted_ms INTEGER NOT NULL,
  leaf INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removals (id INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;
)";

// A log that is known keeps its tree and times; a segment that came before its announcement has
// made a row without a key.
constexpr const char* kPutLog =
    "INSERT INTO logs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET "
    "node = ?2, log_key = ?3, announcement = ?4";

constexpr const char* kAdvanceLog =
    "INSERT INTO logs VALUES (?1, ?2, x'', x'', ?3, ?4, ?5, ?5, ?6) ON CONFLICT DO UPDATE SET "
    "size = ?3, tree = ?4, first_ms = iif(size = 0, ?5, first_ms), last_ms = ?5, "
    "pruned = pruned + ?6 WHERE size < ?3";

void advance_logs(SQLite::Database& database, uint32_t day,
                  const std::vector<DayProgress>& progress) {
  SQLite::Statement log(database, kAdvanceLog);
  SQLite::Statement place(database,
                          "INSERT INTO log_days SELECT ?1, ?3, ?2 WHERE NOT EXISTS "
                          "(SELECT 1 FROM log_days WHERE log = ?1 AND day = ?2) "
                          "ON CONFLICT DO NOTHING");
  for (const DayProgress& step : progress) {
    const SegmentRow& segment = step.segment;
    log.reset();
    bind_blob(log, 1, segment.log.view());
    log.bind(2, segment.node);
    log.bind(3, static_cast<int64_t>(segment.first + segment.count));
    bind_blob(log, 4, step.tree);
    log.bind(5, segment.stored_ms);
    log.bind(6, static_cast<int64_t>(step.has_body ? 0 : segment.count));
    log.exec();
    place.reset();
    bind_blob(place, 1, segment.log.view());
    place.bind(2, static_cast<int64_t>(day));
    place.bind(3, static_cast<int64_t>(segment.first));
    place.exec();
  }
}

Result<StoredLog> log_of(SQLite::Statement& row) {
  StoredLog out;
  NOTP_ASSIGN(out.log, record::LogId::from_bytes(blob_of(row.getColumn(0))));
  out.node = row.getColumn(1).getString();
  if (const Bytes key = blob_of(row.getColumn(2)); !key.empty()) {
    NOTP_ASSIGN(out.log_key, PublicKey::from_bytes(key));
  }
  out.announcement = blob_of(row.getColumn(3));
  if (const Bytes tree = blob_of(row.getColumn(4)); !tree.empty()) {
    NOTP_ASSIGN(out.tree, record::Frontier::decode(tree));
  }
  out.first_ms = row.getColumn(5).getInt64();
  out.last_ms = row.getColumn(6).getInt64();
  out.pruned = static_cast<uint64_t>(row.getColumn(7).getInt64());
  return out;
}

}  // namespace

Result<std::unique_ptr<LogTable>> LogTable::open(const std::filesystem::path& file) {
  NOTP_ASSIGN(auto database, open_database(file));
  NOTP_TRY(attempt(fmt::format("cannot open {}", file.string()), [&] {
    make_tables(*database, "the database of logs", kFormat, kSchema);
    database->exec(kLaterTables);
  }));
  return std::unique_ptr<LogTable>(new LogTable(std::move(database)));
}

template <typename Body>
auto LogTable::run(std::string_view doing, Body&& body) const {
  const MutexLock lock(mutex_);
  SQLite::Database& database = *database_;
  return sqlite_try(doing, [&] { return body(database); });
}

Result<void> LogTable::use(std::string_view doing,
                           const std::function<void(SQLite::Database&)>& body) const {
  return run(doing, [&](SQLite::Database& database) { body(database); });
}

Result<Bytes> LogTable::store() const {
  return run("cannot read the store's id",
             [](const SQLite::Database& database) { return meta_value(database, kStore); });
}

Result<void> LogTable::set_store(const Bytes& store) {
  return run("cannot write the store's id",
             [&](const SQLite::Database& database) { put_meta(database, kStore, store); });
}

Result<void> LogTable::copy_to(const std::filesystem::path& file) const {
  const MutexLock lock(mutex_);
  return copy_database(*database_, file);
}

Result<std::vector<DaySummary>> LogTable::days() const {
  return run("cannot read the days", [&](SQLite::Database& database) {
    SQLite::Statement rows(database,
                           "SELECT day, rows, first_time_ns, last_time_ns FROM days ORDER BY day");
    std::vector<DaySummary> out;
    while (rows.executeStep())
      out.push_back({rows.getColumn(0).getUInt(), rows.getColumn(1).getUInt(),
                     rows.getColumn(2).getInt64(), rows.getColumn(3).getInt64()});
    return out;
  });
}

Result<void> LogTable::advance(uint32_t day, const std::vector<DayProgress>& progress) {
  if (progress.empty()) return {};
  return run("cannot move the logs on", [&](SQLite::Database& database) {
    SQLite::Transaction transaction(database);
    advance_logs(database, day, progress);
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (const DayProgress& step : progress) {
      first = std::min(first, step.segment.first_time_ns);
      last = std::max(last, step.segment.last_time_ns);
    }
    SQLite::Statement summary(database,
                              "INSERT INTO days VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
                              "rows = max(rows, ?2), first_time_ns = min(first_time_ns, ?3), "
                              "last_time_ns = max(last_time_ns, ?4)");
    summary.bind(1, static_cast<int64_t>(day));
    summary.bind(2, static_cast<int64_t>(progress.back().row));
    summary.bind(3, first);
    summary.bind(4, last);
    summary.exec();
    transaction.commit();
  });
}

Result<void> LogTable::put_log(const StoredLog& log) {
  return run("cannot store a log", [&](SQLite::Database& database) {
    SQLite::Statement put(database, kPutLog);
    bind_blob(put, 1, log.log.view());
    put.bind(2, log.node);
    bind_blob(put, 3, log.log_key.view());
    bind_blob(put, 4, log.announcement);
    put.bind(5, static_cast<int64_t>(log.tree.size()));
    bind_blob(put, 6, log.tree.encode());
    put.bind(7, log.first_ms);
    put.bind(8, log.last_ms);
    put.bind(9, static_cast<int64_t>(log.pruned));
    put.exec();
  });
}

Result<void> LogTable::put_fault(const StoredFault& fault) {
  return run("cannot store a fault", [&](SQLite::Database& database) {
    const auto bind_fault = [&](SQLite::Statement& statement) {
      bind_blob(statement, 1, fault.log.view());
      statement.bind(2, static_cast<int64_t>(fault.code));
    };
    SQLite::Statement known(database,
                            "SELECT 1 FROM faults WHERE log = ? AND code = ? AND position = ? AND "
                            "checkpoint = ?");
    bind_fault(known);
    known.bind(3, static_cast<int64_t>(fault.position));
    known.bind(4, fault.checkpoint);
    if (known.executeStep()) return;
    SQLite::Statement kept(database,
                           "SELECT count(*), count(*) FILTER (WHERE log = ?) FROM faults");
    bind_blob(kept, 1, fault.log.view());
    kept.executeStep();
    if (static_cast<size_t>(kept.getColumn(0).getInt64()) >= limits::kForksKeptMax ||
        static_cast<size_t>(kept.getColumn(1).getInt64()) >= limits::kFaultsPerLogMax) {
      SQLite::Statement count(database,
                              "INSERT INTO uncounted_faults VALUES (?, ?, 1) ON CONFLICT DO UPDATE "
                              "SET count = count + 1");
      bind_fault(count);
      count.exec();
      return;
    }
    SQLite::Statement put(database, "INSERT INTO faults VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)");
    bind_fault(put);
    put.bind(3, static_cast<int64_t>(fault.position));
    put.bind(4, fault.message.substr(0, limits::kFaultMessageBytesMax));
    put.bind(5, fault.at_ms);
    put.bind(6, fault.checkpoint);
    bind_blob(put, 7,
              fault.segment.size() <= limits::kFaultSegmentBytesMax ? fault.segment : Bytes());
    put.exec();
  });
}

Result<std::vector<StoredLog>> LogTable::logs(const std::optional<record::LogId>& after,
                                              size_t max) const {
  Result<std::vector<StoredLog>> out;
  NOTP_TRY(run("cannot read the logs", [&](SQLite::Database& database) {
    SQLite::Statement rows(database,
                           "SELECT log, node, log_key, announcement, tree, first_ms, last_ms, "
                           "pruned FROM logs WHERE log > ? ORDER BY log LIMIT ?");
    bind_blob(rows, 1, after ? after->view() : ByteView());
    rows.bind(2, static_cast<int64_t>(std::min<size_t>(max, INT64_MAX)));
    while (rows.executeStep()) {
      auto log = log_of(rows);
      if (!log) {
        out = fail(ErrorCode::kCorrupt, "a log in logs.db is damaged: " + log.error().message);
        return;
      }
      out->push_back(*std::move(log));
    }
  }));
  return out;
}

Result<std::vector<StoredFault>> LogTable::faults(const record::LogId& log) const {
  return run("cannot read the faults", [&](SQLite::Database& database) {
    SQLite::Statement rows(database,
                           "SELECT code, position, message, at_ms, checkpoint FROM faults "
                           "WHERE log = ? ORDER BY id DESC");
    bind_blob(rows, 1, log.view());
    std::vector<StoredFault> out;
    while (rows.executeStep())
      out.push_back({.log = log,
                     .code = error_code_from_wire(rows.getColumn(0).getUInt()),
                     .position = static_cast<uint64_t>(rows.getColumn(1).getInt64()),
                     .message = rows.getColumn(2).getString(),
                     .at_ms = rows.getColumn(3).getInt64(),
                     .checkpoint = rows.getColumn(4).getString(),
                     .segment = {}});
    return out;
  });
}

Result<void> LogTable::drop_evidence(const record::LogId& log, record::Position first,
                                     uint32_t count) {
  return run("cannot delete refused segments", [&](SQLite::Database& database) {
    std::vector<int64_t> found;
    {
      SQLite::Statement rows(database,
                             "SELECT id, segment FROM faults WHERE log = ? AND segment <> x''");
      bind_blob(rows, 1, log.view());
      while (rows.executeStep()) {
        // As LogIngest keeps it: first and count, then the rest.
        const Bytes bytes = blob_of(rows.getColumn(1));
        ByteView evidence = bytes;
        const auto begins = take_varint(evidence);
        const auto records = take_varint(evidence);
        const bool is_apart = begins && records && *records <= limits::kSegmentRecordsMax &&
                              (*begins >= first + count || *begins + *records <= first);
        if (!is_apart) found.push_back(rows.getColumn(0).getInt64());
      }
    }
    if (found.empty()) return;
    database.exec("PRAGMA secure_delete = ON");
    for (const int64_t id : found) {
      SQLite::Statement drop(database, "UPDATE faults SET segment = x'' WHERE id = ?");
      drop.bind(1, id);
      drop.exec();
    }
    database.exec("PRAGMA temp_store = MEMORY");
    database.exec("VACUUM");
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  });
}

Result<std::vector<record::LogId>> LogTable::logs_by_prefix(ByteView prefix) const {
  return run("cannot read the logs", [&](SQLite::Database& database) {
    SQLite::Statement rows(database,
                           "SELECT log FROM logs WHERE log >= ?1 AND substr(log, 1, ?2) = ?1 AND "
                           "log <= ?3 ORDER BY log");
    Bytes last(prefix);
    last.resize(record::LogId::kSize, '\xff');
    bind_blob(rows, 1, prefix);
    rows.bind(2, static_cast<int64_t>(prefix.size()));
    bind_blob(rows, 3, last);
    std::vector<record::LogId> out;
    while (rows.executeStep())
      if (const auto log = record::LogId::from_bytes(blob_of(rows.getColumn(0))))
        out.push_back(*log);
    return out;
  });
}

Result<std::optional<uint32_t>> LogTable::day_of(const record::LogId& log,
                                                 record::Position position) const {
  return run("cannot read the days of a log",
             [&](SQLite::Database& database) -> std::optional<uint32_t> {
               SQLite::Statement row(
                   database,
                   "SELECT day FROM log_days JOIN logs USING (log) WHERE log = ?1 AND first "
                   "<= ?2 AND size > ?2 ORDER BY first DESC LIMIT 1");
               bind_blob(row, 1, log.view());
               row.bind(2, static_cast<int64_t>(std::min(position, limits::kPositionMax)));
               if (!row.executeStep()) return std::nullopt;
               return row.getColumn(0).getUInt();
             });
}

Result<std::optional<record::Position>> LogTable::first_in_day(const record::LogId& log,
                                                               uint32_t day) const {
  return run("cannot read the days of a log",
             [&](SQLite::Database& database) -> std::optional<record::Position> {
               SQLite::Statement row(database,
                                     "SELECT first FROM log_days WHERE log = ? AND day = ?");
               bind_blob(row, 1, log.view());
               row.bind(2, static_cast<int64_t>(day));
               if (!row.executeStep()) return std::nullopt;
               return static_cast<uint64_t>(row.getColumn(0).getInt64());
             });
}

}  // namespace notp::audit
