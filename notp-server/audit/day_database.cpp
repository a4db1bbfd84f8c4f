#include "notp-server/audit/day_database.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "common/limits.hpp"
#include "common/storage/sqlite.hpp"
#include "notp-server/audit/value_filter.hpp"

namespace notp::audit {
namespace {

constexpr int kFormat = 1;
// Bodies lie apart, so that a search reads heads and filters alone.
constexpr const char* kSchema = R"(
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE segments (
  row INTEGER PRIMARY KEY,
  log BLOB NOT NULL,
  first INTEGER NOT NULL,
  count INTEGER NOT NULL,
  node TEXT NOT NULL,
  first_time_ns INTEGER NOT NULL,
  last_time_ns INTEGER NOT NULL,
  stored_ms INTEGER NOT NULL,
  content_bytes INTEGER NOT NULL,
  secret BLOB NOT NULL,
  checkpoint TEXT NOT NULL,
  tree BLOB NOT NULL,
  subtrees BLOB NOT NULL,
  head BLOB NOT NULL,
  filter BLOB NOT NULL
) STRICT;
CREATE INDEX segments_by_log ON segments (log, first);
CREATE TABLE bodies (row INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
)";

constexpr const char* kRowColumns =
    "row, log, first, count, node, first_time_ns, last_time_ns, stored_ms";

std::unexpected<Error> corrupt(std::string message) {
  return fail(ErrorCode::kCorrupt, std::move(message));
}

// A blob and 8 bytes of checksum; nothing stays nothing.
Bytes sealed(ByteView content) {
  Bytes out(content);
  if (content.empty()) return out;
  const uint64_t sum = value_hash(content);
  out.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  return out;
}

Result<Bytes> unsealed(const SQLite::Column& column, std::string_view what) {
  const auto size = static_cast<size_t>(column.getBytes());
  if (size == 0) return Bytes();
  const ByteView all(static_cast<const char*>(column.getBlob()), size);
  uint64_t sum = 0;
  if (size > sizeof sum) {
    std::memcpy(&sum, all.data() + size - sizeof sum, sizeof sum);
    const ByteView content = all.substr(0, size - sizeof sum);
    if (value_hash(content) == sum) return Bytes(content);
  }
  return corrupt(fmt::format("the {} of a segment is damaged", what));
}

Bytes blob_of(const SQLite::Column& column) {
  return {static_cast<const char*>(column.getBlob()), static_cast<size_t>(column.getBytes())};
}

void bind_blob(SQLite::Statement& statement, int at, ByteView value) {
  statement.bind(at, value.empty() ? static_cast<const void*>("") : value.data(),
                 static_cast<int>(value.size()));
}

Result<SegmentRow> segment_row(SQLite::Statement& row) {
  SegmentRow out;
  auto log = record::LogId::from_bytes(blob_of(row.getColumn(1)));
  if (!log) return corrupt("the log of a segment is damaged");
  out.log = *log;
  out.first = static_cast<uint64_t>(row.getColumn(2).getInt64());
  out.count = row.getColumn(3).getUInt();
  out.node = row.getColumn(4).getString();
  out.first_time_ns = row.getColumn(5).getInt64();
  out.last_time_ns = row.getColumn(6).getInt64();
  out.stored_ms = row.getColumn(7).getInt64();
  if (out.count == 0 || out.count > limits::kSegmentRecordsMax || out.first > limits::kPositionMax)
    return corrupt("the place of a segment is damaged");
  return out;
}

Bytes joined(const std::vector<Hash>& hashes) {
  Bytes out;
  for (const Hash& hash : hashes) out += hash.view();
  return out;
}

Result<std::vector<Hash>> split(ByteView bytes) {
  if (bytes.size() % Hash::kSize != 0) return corrupt("the hashes of a segment are damaged");
  std::vector<Hash> out;
  for (; !bytes.empty(); bytes.remove_prefix(Hash::kSize))
    out.push_back(*Hash::from_bytes(bytes.substr(0, Hash::kSize)));
  return out;
}

// Runs a body that returns a Result.
template <typename Body>
auto attempt(std::string_view doing, Body&& body) -> std::invoke_result_t<Body> {
  try {
    return body();
  } catch (const SQLite::Exception& exception) {
    return std::unexpected(sqlite_error(doing, exception));
  }
}

constexpr std::string_view kReading = "cannot read segments";

void insert_segment(SQLite::Statement& meta, SQLite::Statement& body, uint32_t row,
                    const StoredSegment& stored) {
  const record::SegmentHead& head = stored.segment.head;
  meta.reset();
  meta.bind(1, static_cast<int64_t>(row));
  bind_blob(meta, 2, head.log.view());
  meta.bind(3, static_cast<int64_t>(head.first));
  meta.bind(4, static_cast<int64_t>(head.count));
  meta.bind(5, stored.node);
  meta.bind(6, stored.first_time_ns);
  meta.bind(7, stored.last_time_ns);
  meta.bind(8, stored.stored_ms);
  meta.bind(9, static_cast<int64_t>(head.content_bytes));
  bind_blob(meta, 10, head.secret);
  meta.bind(11, head.checkpoint);
  bind_blob(meta, 12, sealed(stored.tree.encode()));
  bind_blob(meta, 13, sealed(joined(stored.segment.subtrees)));
  bind_blob(meta, 14, sealed(stored.index.head));
  bind_blob(meta, 15, sealed(stored.index.filter));
  meta.exec();
  if (stored.segment.body.empty()) return;
  body.reset();
  body.bind(1, static_cast<int64_t>(row));
  bind_blob(body, 2, sealed(stored.segment.body));
  body.exec();
}

Result<std::unique_ptr<SQLite::Database>> connect_closed(const std::filesystem::path& file) {
  return sqlite_try(fmt::format("cannot read {}", file.string()), [&] {
    auto database = std::make_unique<SQLite::Database>(database_uri(file, "mode=ro&immutable=1"),
                                                       SQLite::OPEN_READONLY | SQLite::OPEN_URI);
    database->exec("PRAGMA cell_size_check = ON");
    database->exec("PRAGMA query_only = ON");
    return database;
  });
}

}  // namespace

std::string day_file_name(uint32_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  return fmt::format("{:04}-{:02}-{:02}.db", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::optional<uint32_t> day_of_file_name(std::string_view name) {
  constexpr std::string_view kForm = "dddd-dd-dd.db";
  if (name.size() != kForm.size()) return std::nullopt;
  const auto number = [&](size_t from, size_t count) {
    unsigned value = 0;
    for (size_t i = from; i < from + count; ++i)
      value = value * 10 + static_cast<unsigned>(name[i] - '0');
    return value;
  };
  for (size_t i = 0; i < kForm.size(); ++i)
    if (kForm[i] == 'd' && i < kForm.size() - 2 ? name[i] < '0' || name[i] > '9'
                                                : name[i] != kForm[i])
      return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(number(0, 4))},
                                         std::chrono::month{number(5, 2)},
                                         std::chrono::day{number(8, 2)}};
  const auto days = date.ok() ? std::chrono::sys_days{date}.time_since_epoch().count() : -1;
  return days < 0 ? std::nullopt : std::optional(static_cast<uint32_t>(days));
}

Result<std::unique_ptr<DayDatabase>> DayDatabase::open(const std::filesystem::path& file,
                                                       const DayMark& mark) {
  NOTP_ASSIGN(auto database, open_database(file));
  std::unique_ptr<DayDatabase> out(new DayDatabase(std::move(database)));
  NOTP_TRY(out->prepare(mark));
  return out;
}

Result<void> DayDatabase::prepare(const DayMark& mark) {
  NOTP_ASSIGN(const int format, sqlite_try("cannot read the format", [&] {
                return database_->execAndGet("PRAGMA user_version").getInt();
              }));
  if (format != 0) return check_mark(mark);
  return sqlite_try("cannot create a day's file", [&] {
    SQLite::Transaction transaction(*database_);
    database_->exec(kSchema);
    SQLite::Statement meta(*database_, "INSERT INTO meta VALUES (?, ?)");
    for (const auto& [name, value] :
         {std::pair<std::string, Bytes>{"store", mark.store}, {"day", std::to_string(mark.day)}}) {
      meta.reset();
      meta.bind(1, name);
      bind_blob(meta, 2, value);
      meta.exec();
    }
    database_->exec(fmt::format("PRAGMA user_version = {}", kFormat));
    transaction.commit();
  });
}

Result<std::unique_ptr<DayDatabase>> DayDatabase::open_closed(const std::filesystem::path& file,
                                                              const DayMark& mark) {
  NOTP_ASSIGN(auto database, connect_closed(file));
  std::unique_ptr<DayDatabase> out(new DayDatabase(std::move(database)));
  NOTP_TRY(out->check_mark(mark));
  return out;
}

Result<Bytes> DayDatabase::store_of(const std::filesystem::path& file) {
  NOTP_ASSIGN(const auto database, connect_closed(file));
  return sqlite_try(kReading, [&] {
    return blob_of(database->execAndGet("SELECT value FROM meta WHERE name = 'store'"));
  });
}

Result<void> DayDatabase::check_mark(const DayMark& mark) const {
  return attempt("cannot read what file it is", [&]() -> Result<void> {
    const int format = database_->execAndGet("PRAGMA user_version").getInt();
    if (format != kFormat)
      return corrupt(fmt::format("it has format {}, this program reads {}", format, kFormat));
    SQLite::Statement meta(*database_, "SELECT value FROM meta WHERE name = ?");
    for (const auto& [name, value] :
         {std::pair<std::string, Bytes>{"store", mark.store}, {"day", std::to_string(mark.day)}}) {
      meta.reset();
      meta.bind(1, name);
      if (!meta.executeStep() || blob_of(meta.getColumn(0)) != value)
        return corrupt(fmt::format("it is of another {}: the file was replaced", name));
    }
    return {};
  });
}

Result<void> DayDatabase::copy_to(const std::filesystem::path& file) const {
  return copy_database(*database_, file);
}

Result<uint32_t> DayDatabase::last_row() const {
  return sqlite_try(kReading, [&] {
    return static_cast<uint32_t>(
        database_->execAndGet("SELECT coalesce(max(row), 0) FROM segments").getInt64());
  });
}

Result<void> DayDatabase::append(uint32_t row, const std::vector<StoredSegment>& segments) {
  return sqlite_try("cannot store segments", [&] {
    SQLite::Transaction transaction(*database_);
    SQLite::Statement meta(*database_,
                           "INSERT INTO segments VALUES "
                           "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    SQLite::Statement body(*database_, "INSERT INTO bodies VALUES (?, ?)");
    for (const StoredSegment& segment : segments) insert_segment(meta, body, row++, segment);
    transaction.commit();
  });
}

Result<std::vector<DayEntry>> DayDatabase::page(const AuditStore::Range& range, uint32_t row,
                                                size_t max) const {
  return attempt(kReading, [&]() -> Result<std::vector<DayEntry>> {
    SQLite::Statement rows(
        *database_,
        fmt::format("SELECT {}, head, {} FROM segments WHERE row {} ? AND last_time_ns >= ? AND "
                    "first_time_ns < ? ORDER BY row {} LIMIT ?",
                    kRowColumns, range.with_filters ? "filter" : "''", range.ascending ? '>' : '<',
                    range.ascending ? "ASC" : "DESC"));
    rows.bind(1, static_cast<int64_t>(row));
    rows.bind(2, range.since_ns == 0 ? INT64_MIN : range.since_ns);
    rows.bind(3, range.until_ns);
    rows.bind(4, static_cast<int64_t>(max));
    std::vector<DayEntry> out;
    while (rows.executeStep()) {
      DayEntry& entry = out.emplace_back();
      entry.row = rows.getColumn(0).getUInt();
      NOTP_ASSIGN(entry.segment, segment_row(rows));
      auto head = unsealed(rows.getColumn(8), "head");
      auto filter = unsealed(rows.getColumn(9), "filter");
      if (head && filter)
        entry.index = {*std::move(head), *std::move(filter)};
      else
        entry.damage = fmt::format("the index of segment {} is damaged", entry.row);
    }
    return out;
  });
}

Result<StoredSegment> DayDatabase::read(uint32_t row) const {
  return attempt(kReading, [&]() -> Result<StoredSegment> {
    SQLite::Statement found(
        *database_,
        fmt::format("SELECT {}, content_bytes, secret, checkpoint, tree, subtrees, head, filter, "
                    "(SELECT body FROM bodies WHERE bodies.row = segments.row) "
                    "FROM segments WHERE row = ?",
                    kRowColumns));
    found.bind(1, static_cast<int64_t>(row));
    if (!found.executeStep()) return fail(ErrorCode::kNotFound, "there is no such segment");
    NOTP_ASSIGN(const SegmentRow place, segment_row(found));
    StoredSegment out;
    out.node = place.node;
    out.stored_ms = place.stored_ms;
    out.first_time_ns = place.first_time_ns;
    out.last_time_ns = place.last_time_ns;
    out.segment.head = {.log = place.log,
                        .first = place.first,
                        .count = place.count,
                        .content_bytes = static_cast<uint64_t>(found.getColumn(8).getInt64()),
                        .secret = blob_of(found.getColumn(9)),
                        .checkpoint = found.getColumn(10).getString()};
    NOTP_ASSIGN(const Bytes tree, unsealed(found.getColumn(11), "tree"));
    NOTP_ASSIGN(out.tree, record::Frontier::decode(tree));
    NOTP_ASSIGN(const Bytes subtrees, unsealed(found.getColumn(12), "hashes"));
    NOTP_ASSIGN(out.segment.subtrees, split(subtrees));
    NOTP_ASSIGN(out.index.head, unsealed(found.getColumn(13), "head"));
    NOTP_ASSIGN(out.index.filter, unsealed(found.getColumn(14), "filter"));
    NOTP_ASSIGN(out.segment.body, unsealed(found.getColumn(15), "body"));
    if (out.segment.body.empty() && out.segment.subtrees.empty())
      return corrupt("the body of a segment is missing");
    return out;
  });
}

Result<std::optional<uint32_t>> DayDatabase::row_of(const record::LogId& log,
                                                    record::Position position) const {
  return sqlite_try(kReading, [&]() -> std::optional<uint32_t> {
    SQLite::Statement found(*database_,
                            "SELECT row, first, count FROM segments WHERE log = ? AND first <= ? "
                            "ORDER BY first DESC LIMIT 1");
    bind_blob(found, 1, log.view());
    found.bind(2, static_cast<int64_t>(std::min(position, limits::kPositionMax)));
    if (!found.executeStep()) return std::nullopt;
    const auto end = static_cast<uint64_t>(found.getColumn(1).getInt64()) +
                     static_cast<uint64_t>(found.getColumn(2).getInt64());
    if (position >= end) return std::nullopt;
    return found.getColumn(0).getUInt();
  });
}

Result<std::vector<DayProgress>> DayDatabase::progress_after(uint32_t row, size_t max) const {
  return attempt(kReading, [&]() -> Result<std::vector<DayProgress>> {
    SQLite::Statement rows(
        *database_,
        fmt::format(
            "SELECT {}, tree, EXISTS (SELECT 1 FROM bodies WHERE bodies.row = segments.row) "
            "FROM segments WHERE row > ? ORDER BY row LIMIT ?",
            kRowColumns));
    rows.bind(1, static_cast<int64_t>(row));
    rows.bind(2, static_cast<int64_t>(max));
    std::vector<DayProgress> out;
    while (rows.executeStep()) {
      DayProgress& progress = out.emplace_back();
      progress.row = rows.getColumn(0).getUInt();
      NOTP_ASSIGN(progress.segment, segment_row(rows));
      NOTP_ASSIGN(progress.tree, unsealed(rows.getColumn(8), "tree"));
      progress.has_body = rows.getColumn(9).getInt() != 0;
    }
    return out;
  });
}

Result<void> DayDatabase::remove(uint32_t row) {
  NOTP_ASSIGN(const StoredSegment stored, read(row));
  if (stored.segment.body.empty()) return {};
  const record::SegmentHead& head = stored.segment.head;
  NOTP_ASSIGN(const auto opened, record::OpenedSegment::open(head, stored.segment.body));
  const auto subtrees = record::subtrees(head.first, record::leaf_hashes(head, opened));
  return sqlite_try("cannot remove a segment", [&] {
    database_->exec("PRAGMA secure_delete = ON");
    SQLite::Transaction transaction(*database_);
    SQLite::Statement hashes(*database_,
                             "UPDATE segments SET secret = zeroblob(?2), subtrees = ?3, head = "
                             "x'', filter = x'' WHERE row = ?1");
    hashes.bind(1, static_cast<int64_t>(row));
    hashes.bind(2, static_cast<int64_t>(record::kSegmentSecretBytes));
    bind_blob(hashes, 3, sealed(joined(subtrees)));
    hashes.exec();
    SQLite::Statement body(*database_, "DELETE FROM bodies WHERE row = ?");
    body.bind(1, static_cast<int64_t>(row));
    body.exec();
    transaction.commit();
    // What was deleted is also in the log of the database.
    database_->exec("PRAGMA wal_checkpoint(TRUNCATE)");
  });
}

}  // namespace notp::audit
