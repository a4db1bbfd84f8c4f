#include "notp-client/store/sqlite_store.hpp"

#include <fmt/format.h>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/private_files.hpp"
#include "common/read_only_disk.hpp"
#include "notp-client/store/columns.hpp"
#include "notp-client/store/fresh_file.hpp"
#include "notp-client/store/sqlite_attempt.hpp"
#include "notp-client/store/sqlite_rows.hpp"

namespace notp {
namespace {

using sqlite_columns::bind_bytes;
using sqlite_columns::view;
using sqlite_store::attempt;
using sqlite_store::checksum;
using sqlite_store::drop_fresh_file;
using sqlite_store::hash_column;
using sqlite_store::kDamagedTrust;
using sqlite_store::number;
using sqlite_store::place_check;
using sqlite_store::put_text;
using sqlite_store::refuse;
using sqlite_store::Refused;

constexpr int kSchemaVersion = 4;
// A swap waits for one fsync of the log. To copy the log into the file is left to collect(), unless
// it has grown as long as this.
constexpr int kLogPagesMax = 4096;

Bytes release_check(int64_t install, const StoredRelease& release) {
  Bytes row;
  put_text(row, release.ref.ledger.text());
  for (uint64_t number : {static_cast<uint64_t>(install), release.ref.version, release.ref.epoch,
                          uint64_t{release.confirmed}, uint64_t{release.quarantined},
                          static_cast<uint64_t>(release.stored_ms)})
    put_varint(row, number);
  row.append(release.ref.release_hash.view()).append(release.ref.content_root.view());
  put_text(row, release.envelope);
  put_text(row, release.error);
  return checksum("releases", row);
}

// What SQLite finds damaged comes without a word on what to do.
template <typename T>
Result<T> advised(Result<T> result) {
  if (!result && result.error().code == ErrorCode::kCorrupt &&
      !result.error().message.contains(kDamagedTrust))
    result.error().message += fmt::format(": the database {}", kDamagedTrust);
  return result;
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::filesystem::path& folder,
                                                       size_t releases_kept) {
  NOTP_ASSERT(releases_kept >= 2, "the confirmed release and the head are always kept");
  const bool is_volatile = is_on_read_only_disk(folder);
  if (!is_volatile) NOTP_TRY(make_private_folder(folder));
  NOTP_ASSIGN(FolderLock lock, FolderLock::acquire(folder));
  const auto file = folder / kStoreFile;
  if (!is_volatile) NOTP_TRY(drop_fresh_file(file));
  NOTP_ASSIGN(auto database, advised(open_file(file)));
  std::unique_ptr<SqliteStore> store(
      new SqliteStore(std::move(lock), file, std::move(database), releases_kept));
  store->is_volatile_ = is_volatile;
  NOTP_TRY(advised(attempt(fmt::format("cannot open the store in {}", folder.string()),
                           [&] { store->check_version(); })));
  return store;
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open_to_read(
    const std::filesystem::path& folder) {
  const auto file = folder / kStoreFile;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    return fail(ErrorCode::kNotFound,
                fmt::format("there is no store in {}: no agent has run with it", folder.string()));
  NOTP_ASSIGN(FolderLock lock, FolderLock::acquire(folder));
  NOTP_ASSIGN(auto database, open_database_to_read(file));
  std::unique_ptr<SqliteStore> store(
      new SqliteStore(std::move(lock), file, std::move(database), limits::kReleasesKept));
  const auto doing = fmt::format("cannot read the store in {}", folder.string());
  NOTP_TRY(attempt(doing, [&] {
    const int version = store->database().execAndGet("PRAGMA user_version").getInt();
    if (version != kSchemaVersion)
      refuse(ErrorCode::kConfig,
             fmt::format("its format is {}, this program reads {}: let an agent of this version "
                         "start with it first, or use the program that wrote it",
                         version, kSchemaVersion));
  }));
  return store;
}

Result<std::unique_ptr<SQLite::Database>> SqliteStore::open_file(
    const std::filesystem::path& file) {
  NOTP_ASSIGN(auto database, open_database(file, {.can_shrink = true}));
  NOTP_TRY(sqlite_try(fmt::format("cannot open {}", file.string()), [&] {
    database->exec(fmt::format("PRAGMA wal_autocheckpoint = {}", kLogPagesMax));
  }));
  return database;
}

// What could not be opened again when one file had taken the place of the other is opened once the
// disk lets it.
SQLite::Database& SqliteStore::database() {
  if (!database_) {
    auto database = open_file(file_);
    if (!database) throw Refused{std::move(database).error()};
    database_ = *std::move(database);
  }
  return *database_;
}

void SqliteStore::check_version() {
  const auto version = [&] { return database().execAndGet("PRAGMA user_version").getInt(); };
  // A number that is damaged would have another format made of the newest.
  const auto is_there = [&](const char* sql) {
    SQLite::Statement query(database(), sql);
    return query.executeStep();
  };
  const bool is_newest =
      is_there("SELECT 1 FROM pragma_table_info('clock') WHERE name = 'signed_ms'");
  const bool is_empty = !is_there("SELECT 1 FROM sqlite_master WHERE name = 'ledgers'");
  if ((version() < kSchemaVersion && is_newest) || (version() == 0 && !is_empty))
    refuse(ErrorCode::kCorrupt, fmt::format("its format's number {}", kDamagedTrust));
  if (version() == 0) return create_schema();
  if (version() == 3) migrate_3_to_4();
  if (version() != kSchemaVersion)
    refuse(ErrorCode::kConfig,
           fmt::format(
               "its format is {}, this program reads {}; use the program that wrote it, or move "
               "the data folder away and let the agent fetch again",
               version(), kSchemaVersion));
}

void SqliteStore::create_schema() {
  SQLite::Transaction transaction(database(), SQLite::TransactionBehavior::IMMEDIATE);
  // A ledger row holds the floor and is never deleted.
  database().exec(R"sql(
    CREATE TABLE ledgers(
      id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL,
      version INTEGER NOT NULL, release BLOB NOT NULL, checksum BLOB NOT NULL);
    CREATE TABLE releases(
      install INTEGER PRIMARY KEY AUTOINCREMENT, ledger INTEGER NOT NULL REFERENCES ledgers(id),
      version INTEGER NOT NULL, epoch INTEGER NOT NULL, release BLOB NOT NULL,
      content_root BLOB NOT NULL, envelope BLOB NOT NULL, confirmed INTEGER NOT NULL,
      quarantined INTEGER NOT NULL, error BLOB NOT NULL, stored_ms INTEGER NOT NULL,
      checksum BLOB NOT NULL, UNIQUE(ledger, version));
    CREATE TABLE files(
      ledger INTEGER NOT NULL, path BLOB NOT NULL, first_install INTEGER NOT NULL,
      last_install INTEGER NOT NULL, blob INTEGER NOT NULL,
      PRIMARY KEY(ledger, path, first_install)) WITHOUT ROWID;
    CREATE INDEX files_by_end ON files(ledger, last_install);
    CREATE INDEX files_by_blob ON files(blob);
  )sql");
  database().exec(BlobRows::schema());
  database().exec(BlobRows::release_schema());
  database().exec(trust_schema());
  database().exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.commit();
}

Result<StoreState> SqliteStore::load() {
  return advised(attempt("cannot load the store", [&] {
    StoreState state;
    state.root_chain = read_roots();
    state.freshness_sequence = read_sequence();
    for (auto& [id, statement] : read_statements())
      state.statements.push_back(std::move(statement));
    state.clock = read_clock();
    SQLite::Statement query(database(), "SELECT id, name FROM ledgers");
    while (query.executeStep()) {
      const int64_t id = query.getColumn(0).getInt64();
      const auto ledger = LedgerId::parse(query.getColumn(1).getString());
      if (!ledger) refuse(ErrorCode::kCorrupt, fmt::format("a ledger's name {}", kDamagedTrust));
      StoredLedger& stored = state.ledgers[*ledger];
      stored.floor = read_floor(id);
      stored.listed = read_listed(id, *ledger);
      for (ReleaseRow& row : read_releases(id, *ledger))
        stored.releases.push_back(std::move(row.release));
    }
    find_losses(state);
    return state;
  }));
}

void SqliteStore::find_losses(StoreState& state) {
  const auto count = [&](const char* sql) {
    return static_cast<size_t>(database().execAndGet(sql).getInt64());
  };
  if (count("SELECT COUNT(*) FROM listed WHERE ledger NOT IN (SELECT id FROM ledgers)") > 0)
    refuse(ErrorCode::kCorrupt, fmt::format("a listed head without its ledger {}", kDamagedTrust));
  size_t releases = 0;
  for (const auto& [ledger, stored] : state.ledgers) releases += stored.releases.size();
  const auto add = [&](size_t lost, std::string_view what) {
    if (lost == 0) return;
    state.findings.push_back(
        Error{ErrorCode::kCorrupt,
              fmt::format("{} of the {} in this store are damaged and not used; look at its disk",
                          lost, what),
              {}});
  };
  add(count("SELECT COUNT(*) FROM releases") - releases, "releases");
  add(count("SELECT COUNT(*) FROM statements") - state.statements.size(), "freshness statements");
}

std::optional<int64_t> SqliteStore::find_ledger(const LedgerId& ledger) {
  SQLite::Statement query(database(), "SELECT id FROM ledgers WHERE name = ?");
  query.bind(1, ledger.text());
  if (!query.executeStep()) return std::nullopt;
  return query.getColumn(0).getInt64();
}

int64_t SqliteStore::ledger_row(const LedgerId& ledger) {
  if (const auto id = find_ledger(ledger)) return *id;
  SQLite::Statement insert(
      database(),
      "INSERT INTO ledgers(name, epoch, version, release, checksum) VALUES(?, 0, 0, ?, ?)");
  const Hash none;
  const Bytes check = place_check("ledgers", ledger, Floor{});
  insert.bind(1, ledger.text());
  bind_bytes(insert, 2, none.view());
  bind_bytes(insert, 3, check);
  insert.exec();
  return database().getLastInsertRowid();
}

Floor SqliteStore::read_floor(int64_t ledger_id) {
  SQLite::Statement query(
      database(), "SELECT name, epoch, version, release, checksum FROM ledgers WHERE id = ?");
  query.bind(1, ledger_id);
  query.executeStep();
  const std::string name = query.getColumn(0).getString();
  const Floor floor{number(query.getColumn(1)), number(query.getColumn(2)),
                    hash_column(query.getColumn(3))};
  const auto ledger = LedgerId::parse(name);
  if (!ledger || view(query.getColumn(4)) != place_check("ledgers", *ledger, floor))
    refuse(ErrorCode::kCorrupt, fmt::format("the floor of ledger {} {}", name, kDamagedTrust));
  return floor;
}

void SqliteStore::write_floor(int64_t ledger_id, const LedgerId& ledger, const Floor& floor) {
  SQLite::Statement update(
      database(),
      "UPDATE ledgers SET epoch = ?, version = ?, release = ?, checksum = ? WHERE id = ?");
  const Bytes check = place_check("ledgers", ledger, floor);
  update.bind(1, static_cast<int64_t>(floor.epoch));
  update.bind(2, static_cast<int64_t>(floor.version));
  bind_bytes(update, 3, floor.release_hash.view());
  bind_bytes(update, 4, check);
  update.bind(5, ledger_id);
  update.exec();
}

std::vector<SqliteStore::ReleaseRow> SqliteStore::read_releases(int64_t ledger_id,
                                                                const LedgerId& ledger) {
  SQLite::Statement query(
      database(),
      "SELECT install, version, epoch, release, content_root, envelope, confirmed, quarantined, "
      "error, "
      "stored_ms, checksum FROM releases WHERE ledger = ? ORDER BY install DESC");
  query.bind(1, ledger_id);
  std::vector<ReleaseRow> rows;
  while (query.executeStep()) {
    ReleaseRow row;
    row.install = query.getColumn(0).getInt64();
    row.release = {.ref = {.ledger = ledger,
                           .epoch = number(query.getColumn(2)),
                           .version = number(query.getColumn(1)),
                           .release_hash = hash_column(query.getColumn(3)),
                           .content_root = hash_column(query.getColumn(4))},
                   .envelope = Bytes(view(query.getColumn(5))),
                   .confirmed = query.getColumn(6).getInt() != 0,
                   .quarantined = query.getColumn(7).getInt() != 0,
                   .error = Bytes(view(query.getColumn(8))),
                   .stored_ms = query.getColumn(9).getInt64()};
    if (view(query.getColumn(10)) != release_check(row.install, row.release)) {
      log::error("stored_release_damaged",
                 {{"ledger", ledger.text()}, {"version", row.release.ref.version}});
      continue;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::optional<SqliteStore::ReleaseRow> SqliteStore::find_release(int64_t ledger_id,
                                                                 const LedgerId& ledger,
                                                                 uint64_t version) {
  for (ReleaseRow& row : read_releases(ledger_id, ledger))
    if (row.release.ref.version == version) return std::move(row);
  return std::nullopt;
}

void SqliteStore::write_release(int64_t ledger_id, const ReleaseRow& row) {
  SQLite::Statement write(
      database(), "INSERT OR REPLACE INTO releases VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const StoredRelease& release = row.release;
  const Bytes check = release_check(row.install, release);
  write.bind(1, row.install);
  write.bind(2, ledger_id);
  write.bind(3, static_cast<int64_t>(release.ref.version));
  write.bind(4, static_cast<int64_t>(release.ref.epoch));
  bind_bytes(write, 5, release.ref.release_hash.view());
  bind_bytes(write, 6, release.ref.content_root.view());
  bind_bytes(write, 7, release.envelope);
  write.bind(8, release.confirmed ? 1 : 0);
  write.bind(9, release.quarantined ? 1 : 0);
  bind_bytes(write, 10, release.error);
  write.bind(11, release.stored_ms);
  bind_bytes(write, 12, check);
  write.exec();
}

Result<void> SqliteStore::change_release(const LedgerId& ledger, uint64_t version,
                                         const std::function<void(StoredRelease&)>& change) {
  const auto doing = fmt::format("cannot mark release {} of {}", version, ledger.text());
  return attempt(doing, [&] {
    SQLite::Transaction transaction(database(), SQLite::TransactionBehavior::IMMEDIATE);
    const auto id = find_ledger(ledger);
    auto row = id ? find_release(*id, ledger, version) : std::nullopt;
    if (!row) refuse(ErrorCode::kNotFound, "it is not kept in the store");
    change(row->release);
    write_release(*id, *row);
    transaction.commit();
  });
}

Result<void> SqliteStore::quarantine(const LedgerId& ledger, uint64_t version, const Error& error) {
  return change_release(ledger, version, [&](StoredRelease& release) {
    release.quarantined = true;
    release.error = error.message.substr(0, limits::kErrorTextBytesMax);
  });
}

Result<void> SqliteStore::confirm(const LedgerId& ledger, uint64_t version) {
  return change_release(ledger, version, [](StoredRelease& release) { release.confirmed = true; });
}

Result<TreePtr> SqliteStore::tree(const LedgerId& ledger, uint64_t version) {
  const auto doing = fmt::format("cannot read release {} of {}", version, ledger.text());
  return attempt(doing, [&]() -> TreePtr {
    const auto id = find_ledger(ledger);
    const auto row = id ? find_release(*id, ledger, version) : std::nullopt;
    if (!row) refuse(ErrorCode::kNotFound, "it is not kept in the store");
    const auto head = heads_.find(*id);
    if (head != heads_.end() && head->second.install == row->install) return head->second.tree;
    Result<Tree> tree = Tree::make(read_files(*id, row->install));
    if (!tree || tree->content_root() != row->release.ref.content_root)
      refuse(ErrorCode::kCorrupt,
             "its stored file list does not give its content root; it has to be fetched again");
    return std::make_shared<const Tree>(*std::move(tree));
  });
}

Result<Content> SqliteStore::blob(const Hash& hash) {
  Result<Result<Content>> read =
      attempt("cannot read stored content", [&] { return contents().read(hash); });
  if (!read) return std::unexpected(std::move(read).error());
  return *std::move(read);
}

Result<std::vector<Hash>> SqliteStore::damaged(const LedgerId& ledger, uint64_t version) {
  NOTP_ASSIGN(const TreePtr tree, this->tree(ledger, version));
  std::vector<Hash> damaged;
  std::set<Hash> seen;
  for (const auto& [path, file] : tree->files()) {
    if (!seen.insert(file.hash).second) continue;
    const Result<Content> content = blob(file.hash);
    if (content) continue;
    const ErrorCode code = content.error().code;
    if (code != ErrorCode::kNotFound && code != ErrorCode::kCorrupt)
      return std::unexpected(content.error());
    damaged.push_back(file.hash);
  }
  return damaged;
}

}  // namespace notp
