#include "notp-client/store/file_tables.hpp"

#include <fmt/format.h>

#include "common/storage/sqlite_attempt.hpp"
#include "notp-client/store/columns.hpp"
#include "notp-client/store/sqlite_rows.hpp"

namespace notp::store {
const char* FileTables::schema() {
  return R"sql(
    CREATE TABLE files(
      ledger INTEGER NOT NULL, path BLOB NOT NULL, first_install INTEGER NOT NULL,
      last_install INTEGER NOT NULL, blob INTEGER NOT NULL,
      PRIMARY KEY(ledger, path, first_install)) WITHOUT ROWID;
    CREATE INDEX files_by_end ON files(ledger, last_install);
    CREATE INDEX files_by_blob ON files(blob);
  )sql";
}

model::Files FileTables::read(int64_t ledger_row, int64_t install) {
  SQLite::Statement query(database_,
                          "SELECT path, hash, bytes FROM files JOIN blobs ON id = blob "
                          "WHERE ledger = ?1 AND first_install <= ?2 AND +last_install >= ?2 "
                          "ORDER BY path, first_install");  // '+': by the primary key, in order
  query.bind(1, ledger_row);
  query.bind(2, install);
  model::Files files;
  while (query.executeStep()) {
    const auto hash = Hash::from_bytes(view(query.getColumn(1))).value_or(Hash{});
    files.emplace_hint(
        files.end(), view(query.getColumn(0)),
        model::FileEntry{hash, static_cast<uint64_t>(query.getColumn(2).getInt64())});
  }
  return files;
}

// Reads the open rows, unverified: the difference to a verified tree also repairs them.
model::Files FileTables::open_files(int64_t ledger_row, int64_t next_install) {
  if (const auto head = heads_.find(ledger_row); head != heads_.end())
    return head->second.tree->files();
  end_ranges_before(ledger_row, next_install);
  return read(ledger_row, kOpenRange);
}

// Ranges that begin or end with a future install are damaged. If kept, they would become part of
// that install.
void FileTables::end_ranges_before(int64_t ledger_row, int64_t next_install) {
  SQLite::Statement erase(database_, "DELETE FROM files WHERE ledger = ? AND first_install >= ?");
  SQLite::Statement end(database_,
                        "UPDATE files SET last_install = ?2 - 1 "
                        "WHERE ledger = ?1 AND last_install >= ?2 AND last_install <> ?3");
  for (SQLite::Statement* statement : {&erase, &end}) {
    statement->bind(1, ledger_row);
    statement->bind(2, next_install);
  }
  end.bind(3, kOpenRange);
  erase.exec();
  end.exec();
}

int64_t FileTables::blob_row(const std::string& path, const model::FileEntry& file) {
  if (const auto id = blobs_.find(file.hash)) return *id;
  refuse(ErrorCode::kNotFound,
         fmt::format("content {} of {} is neither stored nor received", file.hash.brief(), path));
}

void FileTables::write(int64_t ledger_row, int64_t install, const InstallRecord& record) {
  std::set<int64_t> fresh;
  for (const auto& [hash, content] : record.new_blobs) fresh.insert(blobs_.put(hash, *content));
  SQLite::Statement close(
      database_,
      "UPDATE files SET last_install = ? WHERE ledger = ? AND path = ? AND last_install = ?");
  SQLite::Statement add(database_, "INSERT INTO files VALUES(?, ?, ?, ?, ?)");
  const auto end_range = [&](const std::string& path) {
    close.bind(1, install - 1);
    close.bind(2, ledger_row);
    bind_bytes(close, 3, path);
    close.bind(4, kOpenRange);
    close.exec();
    close.reset();
  };
  const auto begin_range = [&](const std::string& path, const model::FileEntry& file) {
    add.bind(1, ledger_row);
    bind_bytes(add, 2, path);
    add.bind(3, install);
    add.bind(4, kOpenRange);
    add.bind(5, blob_row(path, file));
    add.exec();
    add.reset();
  };
  const model::Files before = open_files(ledger_row, install);
  const model::Files& after = record.tree->files();
  for (const auto& [path, file] : before)
    if (const auto now = after.find(path); now == after.end() || now->second != file)
      end_range(path);
  for (const auto& [path, file] : after)
    if (const auto was = before.find(path); was == before.end() || was->second != file)
      begin_range(path, file);
  drop_unused(fresh);
}

void FileTables::end(int64_t ledger_row, int64_t next_install) {
  SQLite::Statement close(
      database_, "UPDATE files SET last_install = ? WHERE ledger = ? AND last_install = ?");
  close.bind(1, next_install - 1);
  close.bind(2, ledger_row);
  close.bind(3, kOpenRange);
  close.exec();
}

bool FileTables::has_open_rows(int64_t ledger_row) {
  SQLite::Statement query(database_,
                          "SELECT 1 FROM files WHERE ledger = ? AND last_install = ? LIMIT 1");
  query.bind(1, ledger_row);
  query.bind(2, kOpenRange);
  return query.executeStep();
}

model::TreePtr FileTables::remembered(int64_t ledger_row, int64_t install) const {
  const auto head = heads_.find(ledger_row);
  return head != heads_.end() && head->second.install == install ? head->second.tree : nullptr;
}

void FileTables::remember(int64_t ledger_row, int64_t install, model::TreePtr tree) {
  heads_[ledger_row] = {install, std::move(tree)};
}

// The range of a file without a stored release lies wholly between two neighbouring stored
// releases. Replacing a release leaves such files, too.
size_t FileTables::collect_garbage(int64_t ledger_row, const std::vector<int64_t>& installs,
                                   size_t rows_max) {
  size_t rows = 0;
  int64_t after = -1;
  const auto collect_until = [&](int64_t before) {
    if (rows < rows_max) rows += collect_between(ledger_row, after, before, rows_max - rows);
    after = before;
  };
  for (const int64_t install : installs) collect_until(install);
  if (installs.empty()) collect_until(kOpenRange);
  return rows;
}

size_t FileTables::collect_between(int64_t ledger_row, int64_t after, int64_t before,
                                   size_t rows_max) {
  SQLite::Statement erase(
      database_,
      "DELETE FROM files WHERE ledger = ?1 AND (path, first_install) IN ("
      "  SELECT path, first_install FROM files WHERE ledger = ?1 AND last_install < ?2 "
      "  AND last_install > ?3 AND first_install > ?3 LIMIT ?4) RETURNING blob");
  erase.bind(1, ledger_row);
  erase.bind(2, before);
  erase.bind(3, after);
  erase.bind(4, static_cast<int64_t>(rows_max));
  std::set<int64_t> blobs;
  size_t rows = 0;
  for (; erase.executeStep(); ++rows) blobs.insert(erase.getColumn(0).getInt64());
  drop_unused(blobs);
  return rows;
}

void FileTables::drop_lost() {
  database_.exec("DELETE FROM files WHERE ledger NOT IN (SELECT id FROM ledgers)");
  std::set<int64_t> blobs;
  SQLite::Statement query(database_,
                          "SELECT id FROM blobs WHERE id NOT IN (SELECT blob FROM files)");
  while (query.executeStep()) blobs.insert(query.getColumn(0).getInt64());
  drop_unused(blobs);
}

void FileTables::drop_unused(const std::set<int64_t>& blobs) {
  SQLite::Statement used(database_, "SELECT 1 FROM files WHERE blob = ? LIMIT 1");
  for (int64_t blob : blobs) {
    used.bind(1, blob);
    const bool is_used = used.executeStep();
    used.reset();
    if (!is_used) blobs_.remove(blob);
  }
}

std::string FileTables::users_of(int64_t blob) {
  SQLite::Statement query(database_,
                          "SELECT name, CAST(path AS TEXT), MAX(releases.version) FROM files "
                          "JOIN ledgers ON ledgers.id = files.ledger "
                          "JOIN releases ON releases.ledger = files.ledger "
                          "AND install BETWEEN first_install AND last_install "
                          "WHERE blob = ? GROUP BY name");
  query.bind(1, blob);
  std::string users;
  while (query.executeStep())
    users += fmt::format("{}{} v{} {}", users.empty() ? "" : ", ", query.getColumn(0).getString(),
                         query.getColumn(2).getInt64(), printable(query.getColumn(1).getString()));
  return users.empty() ? "no kept release" : users;
}

}  // namespace notp::store
