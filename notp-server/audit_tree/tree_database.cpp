#include "notp-server/audit_tree/tree_database.hpp"

#include <fmt/format.h>

#include <utility>

#include "common/failpoint.hpp"
#include "common/storage/sqlite_values.hpp"
#include "notp-server/audit_tree/tree_limits.hpp"

namespace notp::audit {
namespace {

constexpr int kFormat = 1;
// A tile's id is its level and its index, which has at most 40 bits.
constexpr int kLevelShift = 48;
constexpr const char* kAnnouncement = "announcement";  // in meta
constexpr const char* kSchema = R"(
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE entries (
  idx INTEGER PRIMARY KEY,
  entry BLOB NOT NULL
) STRICT;
CREATE TABLE tiles (
  id INTEGER PRIMARY KEY,
  hashes BLOB NOT NULL
) STRICT;
CREATE TABLE checkpoints (
  size INTEGER PRIMARY KEY,
  note TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  cosignatures INTEGER NOT NULL
) STRICT;
CREATE INDEX cosigned ON checkpoints (size) WHERE cosignatures > 0;
CREATE TABLE log_leaves (
  log BLOB NOT NULL,
  size INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  PRIMARY KEY (log, size)
) STRICT, WITHOUT ROWID;
)";

int64_t tile_id(uint32_t level, uint64_t index) {
  return static_cast<int64_t>(static_cast<uint64_t>(level) << kLevelShift | index);
}

void put_entries(SQLite::Database& database, const TreeGrowth& growth) {
  SQLite::Statement put(database, "INSERT INTO entries VALUES (?, ?)");
  for (size_t i = 0; i < growth.entries.size(); ++i) {
    put.reset();
    put.bind(1, static_cast<int64_t>(growth.first + i));
    bind_blob(put, 2, growth.entries[i]);
    put.exec();
  }
}

void put_tiles(SQLite::Database& database, const std::vector<Tile>& tiles) {
  SQLite::Statement put(database, "INSERT OR REPLACE INTO tiles VALUES (?, ?)");
  for (const Tile& tile : tiles) {
    Bytes hashes;
    for (const Hash& hash : tile.hashes) hashes += hash.view();
    put.reset();
    put.bind(1, tile_id(tile.level, tile.index));
    bind_blob(put, 2, hashes);
    put.exec();
  }
}

void put_leaves(SQLite::Database& database, const std::vector<LogLeaf>& leaves) {
  SQLite::Statement put(database, "INSERT OR IGNORE INTO log_leaves VALUES (?, ?, ?, ?, ?)");
  for (const LogLeaf& leaf : leaves) {
    put.reset();
    bind_blob(put, 1, leaf.log.view());
    put.bind(2, static_cast<int64_t>(leaf.size));
    put.bind(3, static_cast<int64_t>(leaf.index));
    put.bind(4, leaf.time_ms);
    put.bind(5, static_cast<int64_t>(leaf.dropped));
    put.exec();
  }
}

void put_checkpoint(SQLite::Database& database, const SealedCheckpoint& checkpoint) {
  SQLite::Statement put(database, "INSERT INTO checkpoints VALUES (?, ?, ?, ?)");
  put.bind(1, static_cast<int64_t>(checkpoint.size));
  put.bind(2, checkpoint.note);
  put.bind(3, checkpoint.at_ms);
  put.bind(4, static_cast<int64_t>(checkpoint.cosignatures));
  put.exec();
  SQLite::Statement drop(
      database,
      "DELETE FROM checkpoints WHERE size <= (SELECT size FROM checkpoints ORDER BY size DESC "
      "LIMIT 1 OFFSET ?) AND size <> "
      "ifnull((SELECT max(size) FROM checkpoints WHERE cosignatures > 0), 0)");
  drop.bind(1, static_cast<int64_t>(limits::kTreeCheckpointsMax));
  drop.exec();
}

Result<LogLeaf> leaf_from(SQLite::Statement& row) {
  LogLeaf out;
  NOTP_ASSIGN(out.log, record::LogId::from_bytes(blob_of(row.getColumn(0))));
  out.size = static_cast<uint64_t>(row.getColumn(1).getInt64());
  out.index = static_cast<uint64_t>(row.getColumn(2).getInt64());
  out.time_ms = row.getColumn(3).getInt64();
  out.dropped = static_cast<uint64_t>(row.getColumn(4).getInt64());
  return out;
}

Result<std::vector<Hash>> hashes_of(ByteView bytes) {
  std::vector<Hash> out;
  for (; bytes.size() >= Hash::kSize; bytes.remove_prefix(Hash::kSize)) {
    NOTP_ASSIGN(const Hash hash, Hash::from_bytes(bytes.substr(0, Hash::kSize)));
    out.push_back(hash);
  }
  if (bytes.empty() && !out.empty() && out.size() <= limits::kTileWidth) return out;
  return fail(ErrorCode::kCorrupt, "a tile of the registry's tree is not made of hashes");
}

}  // namespace

Result<std::unique_ptr<TreeDatabase>> TreeDatabase::open(const std::filesystem::path& file) {
  NOTP_ASSIGN(auto database, open_database(file));
  NOTP_TRY(attempt(fmt::format("cannot open {}", file.string()),
                   [&] { make_tables(*database, "the registry's tree", kFormat, kSchema); }));
  return std::unique_ptr<TreeDatabase>(new TreeDatabase(std::move(database)));
}

template <typename Body>
auto TreeDatabase::run(std::string_view doing, Body&& body) const {
  const MutexLock lock(mutex_);
  SQLite::Database& database = *database_;
  return sqlite_try(doing, [&] { return body(database); });
}

Result<Bytes> TreeDatabase::announcement() const {
  return run("cannot read the announcement of the tree",
             [](const SQLite::Database& database) { return meta_value(database, kAnnouncement); });
}

Result<void> TreeDatabase::set_announcement(const Bytes& announcement) {
  return run("cannot write the announcement of the tree", [&](const SQLite::Database& database) {
    put_meta(database, kAnnouncement, announcement);
  });
}

Result<void> TreeDatabase::copy_to(const std::filesystem::path& file) const {
  const MutexLock lock(mutex_);
  return copy_database(*database_, file);
}

// --- growth

Result<void> TreeDatabase::append(const TreeGrowth& growth) {
  return run("cannot seal the registry's tree", [&](SQLite::Database& database) {
    SQLite::Transaction transaction(database);
    put_entries(database, growth);
    put_tiles(database, growth.tiles);
    put_leaves(database, growth.logs);
    put_checkpoint(database, growth.checkpoint);
    failpoint("tree.before_commit");
    transaction.commit();
  });
}

Result<void> TreeDatabase::put_note(const SealedCheckpoint& checkpoint) {
  return run("cannot keep a cosignature", [&](SQLite::Database& database) {
    SQLite::Statement put(database,
                          "UPDATE checkpoints SET note = ?2, cosignatures = ?3 WHERE size = ?1");
    put.bind(1, static_cast<int64_t>(checkpoint.size));
    put.bind(2, checkpoint.note);
    put.bind(3, static_cast<int64_t>(checkpoint.cosignatures));
    put.exec();
  });
}

// --- questions

Result<Tile> TreeDatabase::tile(uint32_t level, uint64_t index) const {
  NOTP_ASSIGN(const Bytes bytes,
              run("cannot read the registry's tree", [&](SQLite::Database& database) -> Bytes {
                SQLite::Statement row(database, "SELECT hashes FROM tiles WHERE id = ?");
                row.bind(1, tile_id(level, index));
                return row.executeStep() ? blob_of(row.getColumn(0)) : Bytes();
              }));
  NOTP_ASSIGN(std::vector<Hash> hashes, hashes_of(bytes));
  return Tile{.level = level, .index = index, .hashes = std::move(hashes)};
}

Result<std::vector<Bytes>> TreeDatabase::entries(uint64_t first, uint64_t end,
                                                 size_t bytes_max) const {
  NOTP_ASSIGN(std::vector<Bytes> out,
              run("cannot read the registry's tree", [&](SQLite::Database& d) {
                SQLite::Statement rows(d, "SELECT entry FROM entries WHERE idx >= ? AND idx < ?");
                rows.bind(1, static_cast<int64_t>(first));
                rows.bind(2, static_cast<int64_t>(end));
                std::vector<Bytes> read;
                for (size_t bytes = 0; rows.executeStep();) {
                  const auto size = static_cast<size_t>(rows.getColumn(0).getBytes());
                  if (!read.empty() && bytes + size > bytes_max) break;
                  bytes += size;
                  read.push_back(blob_of(rows.getColumn(0)));
                }
                return read;
              }));
  if (!out.empty() || first >= end) return out;
  return fail(ErrorCode::kCorrupt,
              fmt::format("entry {} of the registry's tree is missing", first));
}

Result<std::optional<SealedCheckpoint>> TreeDatabase::one(const char* where, uint64_t size) const {
  return run("cannot read the registry's tree",
             [&](SQLite::Database& database) -> std::optional<SealedCheckpoint> {
               SQLite::Statement row(
                   database, fmt::format("SELECT size, note, at_ms, cosignatures FROM checkpoints "
                                         "WHERE size > 0 AND {} LIMIT 1",
                                         where));
               if (row.getBindParameterCount() > 0) row.bind(1, static_cast<int64_t>(size));
               if (!row.executeStep()) return std::nullopt;
               return SealedCheckpoint{
                   .size = static_cast<uint64_t>(row.getColumn(0).getInt64()),
                   .note = row.getColumn(1).getString(),
                   .at_ms = row.getColumn(2).getInt64(),
                   .cosignatures = static_cast<size_t>(row.getColumn(3).getInt64())};
             });
}

Result<std::optional<SealedCheckpoint>> TreeDatabase::newest() const {
  return one("true ORDER BY size DESC");
}

Result<std::optional<SealedCheckpoint>> TreeDatabase::newest_cosigned() const {
  return one("cosignatures > 0 ORDER BY size DESC");
}

Result<std::optional<SealedCheckpoint>> TreeDatabase::checkpoint(uint64_t size) const {
  return one("size = ?", size);
}

Result<std::optional<SealedCheckpoint>> TreeDatabase::first_above(uint64_t size) const {
  return one("size > ? ORDER BY size", size);
}

Result<std::optional<LogLeaf>> TreeDatabase::leaf_of(const record::LogId& log,
                                                     uint64_t size) const {
  NOTP_ASSIGN(auto found,
              run("cannot read the registry's tree",
                  [&](SQLite::Database& database) -> std::optional<Result<LogLeaf>> {
                    SQLite::Statement row(database,
                                          "SELECT * FROM log_leaves WHERE log = ? AND size = ?");
                    bind_blob(row, 1, log.view());
                    row.bind(2, static_cast<int64_t>(size));
                    return row.executeStep() ? std::optional(leaf_from(row)) : std::nullopt;
                  }));
  if (!found) return std::nullopt;
  NOTP_ASSIGN(LogLeaf leaf, std::move(*found));
  return leaf;
}

// Goes from log to log: the table has as many rows as there are segments.
Result<std::vector<LogLeaf>> TreeDatabase::newest_leaves() const {
  NOTP_ASSIGN(auto found, run("cannot read the registry's tree", [](SQLite::Database& database) {
                SQLite::Statement next(database, "SELECT min(log) FROM log_leaves WHERE log > ?");
                SQLite::Statement newest(
                    database, "SELECT * FROM log_leaves WHERE log = ? ORDER BY size DESC LIMIT 1");
                std::vector<Result<LogLeaf>> out;
                for (Bytes log;;) {
                  next.reset();
                  bind_blob(next, 1, log);
                  if (!next.executeStep() || next.getColumn(0).isNull()) return out;
                  log = blob_of(next.getColumn(0));
                  newest.reset();
                  bind_blob(newest, 1, log);
                  if (newest.executeStep()) out.push_back(leaf_from(newest));
                }
              }));
  std::vector<LogLeaf> out;
  for (Result<LogLeaf>& each : found) {
    NOTP_ASSIGN(const LogLeaf leaf, std::move(each));
    out.push_back(leaf);
  }
  return out;
}

}  // namespace notp::audit
