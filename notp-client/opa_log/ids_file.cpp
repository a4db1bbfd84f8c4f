#include "notp-client/opa_log/ids_file.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.hpp"
#include "common/storage/sqlite.hpp"

namespace notp::opa_log {
namespace {

// The row of events whose instance is not known, among those of the instances.
constexpr const char* kUnattributed = "";
constexpr std::string_view kDoing = "the ids of OPA's decisions";

// The database is moved with what belongs to it.
void keep_aside(const std::filesystem::path& file) {
  for (const std::string_view part : {"", "-wal", "-shm", "-journal"}) {
    std::error_code none;
    std::filesystem::rename(file.string().append(part), (file.string() + ".damaged").append(part),
                            none);
  }
}

void append_keys(const std::string& blob, const std::string& instance, KnownEvents& known) {
  EventKey key;
  for (size_t at = 0; at + EventKey::kSize <= blob.size(); at += EventKey::kSize) {
    std::memcpy(key.bytes.data(), blob.data() + at, EventKey::kSize);
    known.insert(instance, key);
  }
}

}  // namespace

IdsFile::IdsFile(std::unique_ptr<SQLite::Database> database) : database_(std::move(database)) {}
IdsFile::~IdsFile() = default;

void IdsFile::make_tables() {
  database_->exec(
      "CREATE TABLE IF NOT EXISTS batch (id INTEGER PRIMARY KEY AUTOINCREMENT, "
      "instance TEXT NOT NULL, keys BLOB NOT NULL);"
      "CREATE TABLE IF NOT EXISTS instance (name TEXT PRIMARY KEY, recorded INTEGER NOT NULL, "
      "reported INTEGER NOT NULL, answered INTEGER);"
      "CREATE TABLE IF NOT EXISTS place (id INTEGER PRIMARY KEY CHECK (id = 1), log TEXT NOT NULL, "
      "through INTEGER NOT NULL, gaps INTEGER NOT NULL, inode INTEGER NOT NULL, offset INTEGER NOT "
      "NULL, "
      "head INTEGER NOT NULL, head_bytes INTEGER NOT NULL)");
}

Result<std::unique_ptr<IdsFile>> IdsFile::open(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kIdsFileName;
  for (bool is_second = false;; is_second = true) {
    auto database = open_database(file);
    if (database) {
      std::unique_ptr<IdsFile> ids(new IdsFile(*std::move(database)));
      auto made = sqlite_try(kDoing, [&] { ids->make_tables(); });
      if (made) return ids;
      database = std::unexpected(std::move(made).error());
    }
    if (database.error().code != ErrorCode::kCorrupt || is_second)
      return std::unexpected(std::move(database).error());
    log::write(log::Level::kError, "opa_ids_damaged", database.error(), {{"file", file.string()}});
    keep_aside(file);
  }
}

Result<IdsPlace> IdsFile::load(KnownEvents& known, SourceCounts& counts) {
  return sqlite_try(kDoing, [&] {
    SQLite::Statement keys(*database_, "SELECT id, instance, keys FROM batch ORDER BY id");
    while (keys.executeStep()) {
      const std::string instance = keys.getColumn(1).getString();
      const std::string blob = keys.getColumn(2).getString();
      append_keys(blob, instance, known);
      Rows& rows = rows_[instance];
      rows.batches.emplace_back(keys.getColumn(0).getInt64(), blob.size() / EventKey::kSize);
      rows.keys += blob.size() / EventKey::kSize;
    }
    SQLite::Statement instances(*database_,
                                "SELECT name, recorded, reported, answered FROM instance");
    while (instances.executeStep()) {
      SourceCounts::Instance state;
      state.recorded = static_cast<uint64_t>(instances.getColumn(1).getInt64());
      if (instances.getColumn(0).getString() == kUnattributed) {
        counts.restore_unattributed(state.recorded);
        continue;
      }
      state.reported = static_cast<uint64_t>(instances.getColumn(2).getInt64());
      if (!instances.getColumn(3).isNull())
        state.answered = static_cast<uint64_t>(instances.getColumn(3).getInt64());
      counts.restore(instances.getColumn(0).getString(), state);
    }
    IdsPlace place;
    SQLite::Statement row(*database_,
                          "SELECT log, through, gaps, inode, offset, head, head_bytes FROM place");
    if (row.executeStep()) {
      place.log = row.getColumn(0).getString();
      place.through = static_cast<record::Position>(row.getColumn(1).getInt64());
      place.gaps = static_cast<record::Position>(row.getColumn(2).getInt64());
      place.file = {.inode = static_cast<uint64_t>(row.getColumn(3).getInt64()),
                    .offset = static_cast<uint64_t>(row.getColumn(4).getInt64()),
                    .head = static_cast<uint64_t>(row.getColumn(5).getInt64()),
                    .head_bytes = static_cast<uint32_t>(row.getColumn(6).getInt64())};
    }
    return place;
  });
}

std::map<std::string, size_t> IdsFile::delete_old(const KnownEvents& known) {
  SQLite::Statement remove(*database_, "DELETE FROM batch WHERE id = ?");
  std::map<std::string, size_t> deleted;
  const auto names = known.instances();
  for (const auto& [name, rows] : rows_) {
    const bool is_known = name.empty() || std::ranges::find(names, name) != names.end();
    size_t keys = rows.keys;
    for (const auto& [id, count] : rows.batches) {
      if (is_known && keys - count < kKeysMax) break;
      remove.bind(1, id);
      remove.exec();
      remove.reset();
      keys -= count;
      ++deleted[name];
    }
  }
  return deleted;
}

void IdsFile::forget(const std::map<std::string, size_t>& deleted) {
  for (const auto& [name, count] : deleted) {
    Rows& rows = rows_[name];
    for (size_t i = 0; i < count; ++i) {
      rows.keys -= rows.batches.front().second;
      rows.batches.pop_front();
    }
    if (rows.batches.empty()) rows_.erase(name);
  }
}

Result<void> IdsFile::commit(const Batch& batch, const KnownEvents& known,
                             const SourceCounts& counts) {
  // What this object knows of the rows changes only with them.
  std::map<std::string, size_t> deleted;
  std::map<std::string, int64_t> inserted;
  NOTP_TRY(sqlite_try(kDoing, [&] {
    SQLite::Transaction transaction(*database_);
    deleted = delete_old(known);
    SQLite::Statement insert(*database_, "INSERT INTO batch (instance, keys) VALUES (?, ?)");
    for (const auto& [instance, keys] : batch.keys) {
      insert.bind(1, instance);
      insert.bind(2, keys.data(), static_cast<int>(keys.size() * EventKey::kSize));
      insert.exec();
      insert.reset();
      inserted[instance] = database_->getLastInsertRowid();
    }
    database_->exec("DELETE FROM instance");
    SQLite::Statement count(*database_,
                            "INSERT INTO instance (name, recorded, reported, answered) "
                            "VALUES (?, ?, ?, ?)");
    for (const auto& [name, state] : counts.instances()) {
      count.bind(1, name);
      count.bind(2, static_cast<int64_t>(state.recorded));
      count.bind(3, static_cast<int64_t>(state.reported));
      if (state.answered)
        count.bind(4, static_cast<int64_t>(*state.answered));
      else
        count.bind(4);
      count.exec();
      count.reset();
    }
    count.bind(1, kUnattributed);
    count.bind(2, static_cast<int64_t>(counts.unattributed()));
    count.bind(3, 0);
    count.bind(4);
    count.exec();
    SQLite::Statement place(*database_,
                            "INSERT OR REPLACE INTO place (id, log, through, gaps, inode, offset, "
                            "head, head_bytes) VALUES (1, ?, ?, ?, ?, ?, ?, ?)");
    place.bind(1, batch.place.log);
    place.bind(2, static_cast<int64_t>(batch.place.through));
    place.bind(3, static_cast<int64_t>(batch.place.gaps));
    place.bind(4, static_cast<int64_t>(batch.place.file.inode));
    place.bind(5, static_cast<int64_t>(batch.place.file.offset));
    place.bind(6, static_cast<int64_t>(batch.place.file.head));
    place.bind(7, static_cast<int64_t>(batch.place.file.head_bytes));
    place.exec();
    transaction.commit();
  }));
  forget(deleted);
  for (const auto& [instance, row] : inserted) {
    Rows& rows = rows_[instance];
    rows.batches.emplace_back(row, batch.keys.at(instance).size());
    rows.keys += batch.keys.at(instance).size();
  }
  return {};
}

}  // namespace notp::opa_log
