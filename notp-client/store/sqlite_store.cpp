#include "notp-client/store/sqlite_store.hpp"

#include <fmt/format.h>

#include <set>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/storage/private_files.hpp"
#include "common/storage/read_only_disk.hpp"
#include "common/storage/sqlite_attempt.hpp"
#include "notp-client/store/database_file.hpp"
#include "notp-client/store/sqlite_rows.hpp"
#include "notp-client/store/store_tables.hpp"

namespace notp::store {
namespace {

// A longer log is copied into the file and truncated in idle time; SQLite by itself would do so in
// the middle of an install.
constexpr uint64_t kLogBytesMax = 1 << 20;

// Adds advice about damage, which SQLite's own errors lack.
template <typename T>
Result<T> advised(Result<T> result) {
  if (!result && result.error().code == ErrorCode::kCorrupt &&
      !result.error().message.contains(kDamagedTrust))
    result.error().message += fmt::format(": the database {}", kDamagedTrust);
  return result;
}

ReleaseRow find_release(StoreTables& tables, const model::LedgerId& ledger, uint64_t version) {
  const auto id = tables.trust.find_ledger(ledger);
  auto row = id ? tables.releases.find(*id, ledger, version) : std::nullopt;
  if (!row) refuse(ErrorCode::kNotFound, "it is not kept in the store");
  return *std::move(row);
}

uint64_t new_bytes(const InstallRecord& record) {
  uint64_t bytes = 0;
  for (const auto& [hash, content] : record.new_blobs) bytes += content->size();
  return bytes;
}

// kRollback when the release is below the floor, or another one at it.
trust::Floor next_floor(const trust::Floor& floor, const InstallRecord& record) {
  const trust::Floor next = trust::floor_of(record.ref);
  const auto order = [](const trust::Floor& f) { return std::pair(f.epoch, f.version); };
  if (order(next) < order(floor) ||
      (order(next) == order(floor) && next.release_hash != floor.release_hash))
    refuse(ErrorCode::kRollback,
           fmt::format("the floor is epoch {} version {}, release {}", floor.epoch, floor.version,
                       floor.release_hash.brief()));
  return next;
}

StoredRelease release_of(const InstallRecord& record) {
  return {.ref = record.ref,
          .envelope = record.envelope,
          .confirmed = false,
          .quarantined = false,
          .error = {},
          .stored_ms = record.now_ms,
          .has_gate = record.has_gate};
}

struct Installed {
  int64_t ledger_row = 0;
  int64_t install = 0;
};

// Runs inside a transaction.
Installed write_install(StoreTables& tables, const InstallRecord& record) {
  const int64_t ledger_row = tables.trust.ledger_row(record.ref.ledger);
  const trust::Floor floor = next_floor(tables.trust.floor(ledger_row), record);
  ReleaseRow row{tables.releases.next_install(), release_of(record)};
  if (const auto old = tables.releases.find(ledger_row, record.ref.ledger, record.ref.version);
      old && old->release.ref.release_hash == record.ref.release_hash) {
    row.release.confirmed = old->release.confirmed;
    row.release.quarantined = old->release.quarantined;
    row.release.error = old->release.error;
    row.release.held = old->release.held;
    row.release.released = old->release.released;
    // A release that is installed again does not become fresher; it arrives again because of
    // damage.
    row.release.stored_ms = old->release.stored_ms;
    tables.files.forget(ledger_row);
  }
  tables.files.write(ledger_row, row.install, record);
  tables.releases.write(ledger_row, row);
  tables.trust.set_floor(ledger_row, record.ref.ledger, floor);
  if (record.confirmed) {
    if (auto old = tables.releases.find(ledger_row, record.ref.ledger, *record.confirmed)) {
      old->release.confirmed = true;
      tables.releases.write(ledger_row, *old);
    }
  }
  std::set<uint64_t> versions = record.kept_versions;
  versions.insert(record.ref.version);
  tables.releases.drop_except(ledger_row, record.ref.ledger, versions);
  tables.trust.raise_clock({record.now_ms, 0});
  return {ledger_row, row.install};
}

Installed install_in(StoreTables& tables, const InstallRecord& record) {
  SQLite::Transaction transaction(*tables.connection, SQLite::TransactionBehavior::IMMEDIATE);
  const Installed installed = write_install(tables, record);
  // Until the commit is known to have succeeded, the rows may be in either state.
  tables.files.forget(installed.ledger_row);
  transaction.commit();
  return installed;
}

void add_lost(StoreState& state, size_t stored, size_t read, std::string_view what) {
  if (stored == read) return;
  state.findings.push_back(
      Error{ErrorCode::kCorrupt,
            fmt::format("{} of the {} in this store are damaged and not used; look at its disk",
                        stored - read, what),
            {}});
}

}  // namespace

SqliteStore::SqliteStore(FolderLock lock, std::filesystem::path file,
                         std::unique_ptr<StoreTables> tables, bool is_volatile)
    : lock_(std::move(lock)),
      file_(std::move(file)),
      is_volatile_(is_volatile),
      tables_(std::move(tables)) {}

SqliteStore::~SqliteStore() = default;

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::filesystem::path& folder) {
  const bool is_volatile = is_on_read_only_disk(folder);
  if (!is_volatile) NOTP_TRY(make_private_folder(folder));
  NOTP_ASSIGN(FolderLock lock, FolderLock::acquire(folder));
  const auto file = folder / kStoreFile;
  if (!is_volatile) NOTP_TRY(drop_new_database_file(file));
  NOTP_ASSIGN(auto database, advised(open_store_file(file)));
  auto tables = std::make_unique<StoreTables>(std::move(database));
  NOTP_TRY(advised(attempt(fmt::format("cannot open the store in {}", folder.string()),
                           [&] { prepare_format(*tables); })));
  return std::unique_ptr<SqliteStore>(
      new SqliteStore(std::move(lock), file, std::move(tables), is_volatile));
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
  auto tables = std::make_unique<StoreTables>(std::move(database));
  NOTP_TRY(attempt(fmt::format("cannot read the store in {}", folder.string()),
                   [&] { require_format(*tables); }));
  return std::unique_ptr<SqliteStore>(
      new SqliteStore(std::move(lock), file, std::move(tables), /*is_volatile=*/false));
}

// Returns the tables; if the file could not be reopened after it was replaced, it is opened here
// once the disk permits.
StoreTables& SqliteStore::tables() {
  if (!tables_) {
    auto database = open_store_file(file_);
    require(database);
    tables_ = std::make_unique<StoreTables>(*std::move(database));
  }
  return *tables_;
}

template <typename Body>
Result<void> SqliteStore::write(std::string_view doing, Body&& body) {
  return attempt(doing, [&] {
    StoreTables& open = tables();
    SQLite::Transaction transaction(*open.connection, SQLite::TransactionBehavior::IMMEDIATE);
    body(open);
    transaction.commit();
  });
}

// --- reading

Result<StoreState> SqliteStore::load() {
  return advised(attempt("cannot load the store", [&] {
    StoreTables& open = tables();
    StoreState state;
    state.root_chain = open.trust.roots();
    state.freshness_sequence = open.trust.sequence();
    for (auto& [id, statement] : open.trust.statements())
      state.statements.push_back(std::move(statement));
    state.assignment = open.trust.assignment().envelope;
    state.clock = open.trust.clock();
    size_t releases = 0;
    for (const auto& [id, name] : open.trust.ledgers()) {
      const auto ledger = model::LedgerId::parse(name);
      if (!ledger) refuse(ErrorCode::kCorrupt, fmt::format("a ledger's name {}", kDamagedTrust));
      StoredLedger& stored = state.ledgers[*ledger];
      stored.floor = open.trust.floor(id);
      stored.listed = open.trust.listed(id, *ledger);
      for (ReleaseRow& row : open.releases.read(id, *ledger))
        stored.releases.push_back(std::move(row.release));
      releases += stored.releases.size();
    }
    open.trust.check_listed();
    add_lost(state, open.releases.count(), releases, "releases");
    add_lost(state, open.trust.count_statements(), state.statements.size(), "freshness statements");
    return state;
  }));
}

Result<model::TreePtr> SqliteStore::tree(const model::LedgerId& ledger, uint64_t version) {
  const auto doing = fmt::format("cannot read release {} of {}", version, ledger.text());
  return attempt(doing, [&]() -> model::TreePtr {
    StoreTables& open = tables();
    const ReleaseRow row = find_release(open, ledger, version);
    const int64_t ledger_row = *open.trust.find_ledger(ledger);
    if (model::TreePtr head = open.files.remembered(ledger_row, row.install)) return head;
    Result<model::Tree> tree = model::Tree::make(open.files.read(ledger_row, row.install));
    if (!tree || tree->content_root() != row.release.ref.content_root)
      refuse(ErrorCode::kCorrupt,
             "its stored file list does not give its content root; it has to be fetched again");
    return std::make_shared<const model::Tree>(*std::move(tree));
  });
}

Result<model::Content> SqliteStore::blob(const Hash& hash) {
  Result<Result<model::Content>> read =
      attempt("cannot read stored content", [&] { return tables().blobs.read(hash); });
  if (!read) return std::unexpected(std::move(read).error());
  return *std::move(read);
}

Result<std::vector<Hash>> SqliteStore::damaged(const model::LedgerId& ledger, uint64_t version) {
  NOTP_ASSIGN(const model::TreePtr tree, this->tree(ledger, version));
  std::vector<Hash> damaged;
  std::set<Hash> seen;
  for (const auto& [path, file] : tree->files()) {
    if (!seen.insert(file.hash).second) continue;
    const Result<model::Content> content = blob(file.hash);
    if (content) continue;
    const ErrorCode code = content.error().code;
    if (code != ErrorCode::kNotFound && code != ErrorCode::kCorrupt)
      return std::unexpected(content.error());
    damaged.push_back(file.hash);
  }
  return damaged;
}

// --- releases

Result<void> SqliteStore::install(const InstallRecord& record) {
  NOTP_ASSERT(record.tree != nullptr && record.tree->content_root() == record.release.content_root,
              "an install record carries the tree that its release signs");
  const auto doing =
      fmt::format("cannot store release {} of {}", record.ref.version, record.ref.ledger.text());
  return attempt(doing, [&] {
    if (is_bulk(record)) return bulk_load(record);
    const Installed installed = install_in(tables(), record);
    tables().files.remember(installed.ledger_row, installed.install, record.tree);
  });
}

bool SqliteStore::is_bulk(const InstallRecord& record) {
  if (is_volatile_ || new_bytes(record) < limits::kBulkLoadBytesMin) return false;
  return tables()
             .connection
             ->execAndGet(
                 "SELECT EXISTS(SELECT 1 FROM releases) OR EXISTS(SELECT 1 FROM files) "
                 "OR EXISTS(SELECT 1 FROM blobs) OR EXISTS(SELECT 1 FROM released)")
             .getInt() == 0;
}

// Copies the stored state, above all floors and roots, and the release into the new file in one
// transaction, with one fsync at its end.
void SqliteStore::bulk_load(const InstallRecord& record) {
  NewDatabaseFile next(*tables().connection, file_);
  Installed installed;
  {
    StoreTables filled(next.open());
    installed = install_in(filled, record);
  }
  shorten_log(*tables().connection, file_, 0);
  if (log_bytes(file_) != 0) refuse(ErrorCode::kIo, "the log of the old file could not be emptied");
  tables_.reset();
  next.take_place();
  tables().files.remember(installed.ledger_row, installed.install, record.tree);
}

Result<void> SqliteStore::change_release(const model::LedgerId& ledger, uint64_t version,
                                         const std::function<void(StoredRelease&)>& change) {
  const auto doing = fmt::format("cannot mark release {} of {}", version, ledger.text());
  return write(doing, [&](StoreTables& open) {
    ReleaseRow row = find_release(open, ledger, version);
    change(row.release);
    open.releases.write(*open.trust.find_ledger(ledger), row);
  });
}

Result<void> SqliteStore::quarantine(const model::LedgerId& ledger, uint64_t version,
                                     const Error& error) {
  return change_release(ledger, version, [&](StoredRelease& release) {
    release.quarantined = true;
    release.held = error.code == ErrorCode::kGateHeld;
    release.error = error.message.substr(0, limits::kErrorTextBytesMax);
  });
}

Result<void> SqliteStore::release(const model::LedgerId& ledger, uint64_t version) {
  return change_release(ledger, version, [](StoredRelease& release) {
    release.released = true;
    if (!std::exchange(release.held, false)) return;
    release.quarantined = false;
    release.error.clear();
  });
}

Result<void> SqliteStore::confirm(const model::LedgerId& ledger, uint64_t version) {
  return change_release(ledger, version, [](StoredRelease& release) { release.confirmed = true; });
}

Result<void> SqliteStore::drop(const model::LedgerId& ledger) {
  const auto doing = fmt::format("cannot drop {}", ledger.text());
  const auto row = attempt(doing, [&]() -> std::optional<int64_t> {
    const auto id = tables().trust.find_ledger(ledger);
    const bool has_content =
        id && (tables().files.has_open_rows(*id) || !tables().releases.installs(*id).empty());
    return has_content ? id : std::nullopt;
  });
  if (!row) return std::unexpected(row.error());
  if (!*row) return {};
  NOTP_TRY(write(doing, [&](StoreTables& open) {
    open.files.end(**row, open.releases.next_install());
    open.releases.drop_except(**row, ledger, {});
    open.files.forget(**row);
  }));
  log::info("ledger_dropped", {{"ledger", ledger.text()}});
  return {};
}

// --- trust

Result<void> SqliteStore::pin_root(const StoredRoot& root, bool freshness_key_changed) {
  return write(fmt::format("cannot store root {}", root.version), [&](StoreTables& open) {
    if (open.trust.add_root(root) && freshness_key_changed) open.trust.restart_freshness();
  });
}

Result<void> SqliteStore::keep_freshness(const FreshnessKeep& keep) {
  return write("cannot store a freshness statement",
               [&](StoreTables& open) { open.trust.keep_freshness(keep); });
}

Result<void> SqliteStore::keep_assignment(uint64_t sequence, ByteView envelope) {
  return write("cannot store an assignment",
               [&](StoreTables& open) { open.trust.keep_assignment(sequence, envelope); });
}

Result<void> SqliteStore::keep_time(const trust::ClockMarks& marks) {
  return write("cannot store the time", [&](StoreTables& open) { open.trust.raise_clock(marks); });
}

Result<void> SqliteStore::reset_clock(TimeMs wall_ms) {
  return write("cannot set back the latest time seen", [&](StoreTables& open) {
    open.trust.set_clock({wall_ms, open.trust.clock().signed_ms});
    for (const auto& [id, name] : open.trust.ledgers())
      if (const auto ledger = model::LedgerId::parse(name);
          ledger)  // load() reports a damaged name
        open.releases.cap_times(id, *ledger, wall_ms);
    open.trust.cap_statements(wall_ms);
  });
}

// --- idle time

Result<bool> SqliteStore::collect_garbage() {
  return attempt("cannot delete what dropped releases have left", [&] {
    if (collect_rows() > 0 || give_space_back(*tables().connection)) return true;
    if (!is_volatile_) shorten_log(*tables().connection, file_, kLogBytesMax);
    return false;
  });
}

// Small steps, so that an install, or a task waiting for one, is not delayed by the size of an old
// release.
size_t SqliteStore::collect_rows() {
  StoreTables& open = tables();
  SQLite::Transaction transaction(*open.connection, SQLite::TransactionBehavior::IMMEDIATE);
  // Damage and its repair can leave unreferenced rows. Runs once per process.
  if (!counted_) {
    open.releases.drop_lost();
    open.trust.drop_lost();
    open.files.drop_lost();
    open.blobs.recount();
  }
  size_t rows = 0;
  for (const auto& [ledger_row, name] : open.trust.ledgers()) {
    if (rows >= limits::kCollectRowsMax) break;
    rows += open.files.collect_garbage(ledger_row, open.releases.installs(ledger_row),
                                       limits::kCollectRowsMax - rows);
  }
  if (rows < limits::kCollectRowsMax)
    rows += open.blobs.collect_garbage(limits::kCollectRowsMax - rows);
  transaction.commit();
  counted_ = true;
  return rows;
}

// --- reports

StoreCheck SqliteStore::check() {
  const auto open = attempt("cannot open the store", [&] { return &tables(); });
  if (open) return check_store(**open);
  StoreCheck check;
  check.findings.push_back(
      {"database", kStoreFile, open.error().message, "look at the disk and start again"});
  return check;
}

Result<StoreStats> SqliteStore::stats() {
  return attempt("cannot read the store", [&] {
    StoreStats stats = measure_store(tables());
    stats.log_bytes = log_bytes(file_);
    return stats;
  });
}

}  // namespace notp::store
