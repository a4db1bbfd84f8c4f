// The half of SqliteStore that changes trees: swap, drop, and what they leave behind.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/assert.hpp"
#include "notp-client/store/columns.hpp"
#include "notp-client/store/sqlite_attempt.hpp"
#include "notp-client/store/sqlite_rows.hpp"
#include "notp-client/store/sqlite_store.hpp"

namespace notp {
namespace {

using sqlite_columns::bind_bytes;
using sqlite_columns::view;
using sqlite_store::attempt;
using sqlite_store::kDamagedTrust;
using sqlite_store::refuse;

constexpr int64_t kOpen = INT64_MAX;  // last_install of a row that the newest install still has

}  // namespace

Files SqliteStore::read_files(int64_t ledger_id, int64_t install) {
  SQLite::Statement query(database(),
                          "SELECT path, hash, bytes FROM files JOIN blobs ON id = blob "
                          "WHERE ledger = ?1 AND first_install <= ?2 AND +last_install >= ?2 "
                          "ORDER BY path, first_install");  // '+': by the primary key, in order
  query.bind(1, ledger_id);
  query.bind(2, install);
  Files files;
  while (query.executeStep()) {
    const auto hash = Hash::from_bytes(view(query.getColumn(1))).value_or(Hash{});
    files.emplace_hint(files.end(), view(query.getColumn(0)),
                       FileEntry{hash, static_cast<uint64_t>(query.getColumn(2).getInt64())});
  }
  return files;
}

// What the open rows say, true or not: the difference to a verified tree also repairs them.
Files SqliteStore::head_files(int64_t ledger_id, int64_t next_install) {
  if (const auto head = heads_.find(ledger_id); head != heads_.end())
    return head->second.tree->files();
  end_ranges_before(ledger_id, next_install);
  return read_files(ledger_id, kOpen);
}

// Ranges that begin or end with an install that has never been are damaged. Left alone, they would
// have a part in it once it comes.
void SqliteStore::end_ranges_before(int64_t ledger_id, int64_t next_install) {
  SQLite::Statement erase(database(), "DELETE FROM files WHERE ledger = ? AND first_install >= ?");
  SQLite::Statement end(database(),
                        "UPDATE files SET last_install = ?2 - 1 "
                        "WHERE ledger = ?1 AND last_install >= ?2 AND last_install <> ?3");
  for (SQLite::Statement* statement : {&erase, &end}) {
    statement->bind(1, ledger_id);
    statement->bind(2, next_install);
  }
  end.bind(3, kOpen);
  erase.exec();
  end.exec();
}

Result<void> SqliteStore::swap(const Swap& swap) {
  NOTP_ASSERT(swap.tree != nullptr && swap.tree->content_root() == swap.release.content_root,
              "a swap carries the tree that its release signs");
  const auto doing =
      fmt::format("cannot store release {} of {}", swap.release.version, swap.ref.ledger.text());
  return attempt(doing, [&] {
    if (is_cold(swap)) return load_cold(swap);
    const Installed installed = store_release(swap);
    heads_[installed.ledger_id] = {installed.install, swap.tree};
  });
}

SqliteStore::Installed SqliteStore::store_release(const Swap& swap) {
  SQLite::Transaction transaction(database(), SQLite::TransactionBehavior::IMMEDIATE);
  const int64_t ledger_id = ledger_row(swap.ref.ledger);
  const int64_t install = apply_swap(ledger_id, swap);
  drop_old_releases(ledger_id, swap.ref.ledger);
  raise_clock({swap.now_ms, 0});
  // Until the commit is known to have happened the rows may be either.
  heads_.erase(ledger_id);
  transaction.commit();
  return {ledger_id, install};
}

int64_t SqliteStore::apply_swap(int64_t ledger_id, const Swap& swap) {
  const Floor floor = read_floor(ledger_id);
  const Floor next = floor_of(swap.ref);
  const auto order = [](const Floor& f) { return std::pair(f.epoch, f.version); };
  if (order(next) < order(floor) ||
      (order(next) == order(floor) && next.release_hash != floor.release_hash))
    refuse(ErrorCode::kRollback,
           fmt::format("the floor is epoch {} version {}, release {}", floor.epoch, floor.version,
                       floor.release_hash.brief()));
  ReleaseRow row{.install = next_install(),
                 .release = {.ref = swap.ref,
                             .envelope = swap.envelope,
                             .confirmed = false,
                             .quarantined = false,
                             .error = {},
                             .stored_ms = swap.now_ms}};
  if (const auto old = find_release(ledger_id, swap.ref.ledger, swap.release.version);
      old && old->release.ref.release_hash == swap.ref.release_hash) {
    row.release.confirmed = old->release.confirmed;
    row.release.quarantined = old->release.quarantined;
    row.release.error = old->release.error;
    // Brought again, it is no younger; and it is brought because something is damaged.
    row.release.stored_ms = old->release.stored_ms;
    heads_.erase(ledger_id);
  }
  write_files(ledger_id, row.install, swap);
  write_release(ledger_id, row);
  write_floor(ledger_id, swap.ref.ledger, next);
  if (swap.confirmed) {
    if (auto old = find_release(ledger_id, swap.ref.ledger, *swap.confirmed)) {
      old->release.confirmed = true;
      write_release(ledger_id, *old);
    }
  }
  return row.install;
}

// The id of the release row that is written next.
int64_t SqliteStore::next_install() {
  // Never used twice, not even after the newest release is dropped: file ranges refer to it. Should
  // the sequence be damaged, the releases that are there know it, too.
  const int64_t last = database()
                           .execAndGet(
                               "SELECT MAX(COALESCE((SELECT MAX(seq) FROM sqlite_sequence "
                               "WHERE name = 'releases'), 0), "
                               "COALESCE((SELECT MAX(install) FROM releases), 0))")
                           .getInt64();
  if (last >= kOpen - 2)
    refuse(ErrorCode::kCorrupt, fmt::format("the last install's number {}", kDamagedTrust));
  return last + 1;
}

int64_t SqliteStore::blob_row(const std::string& path, const FileEntry& file) {
  if (const auto id = contents().find(file.hash)) return *id;
  refuse(ErrorCode::kNotFound,
         fmt::format("content {} of {} is neither stored nor received", file.hash.brief(), path));
}

void SqliteStore::write_files(int64_t ledger_id, int64_t install, const Swap& swap) {
  std::set<int64_t> fresh;
  for (const auto& [hash, content] : swap.new_blobs) fresh.insert(contents().put(hash, *content));
  SQLite::Statement close(
      database(),
      "UPDATE files SET last_install = ? WHERE ledger = ? AND path = ? AND last_install = ?");
  SQLite::Statement add(database(), "INSERT INTO files VALUES(?, ?, ?, ?, ?)");
  const auto end_range = [&](const std::string& path) {
    close.bind(1, install - 1);
    close.bind(2, ledger_id);
    bind_bytes(close, 3, path);
    close.bind(4, kOpen);
    close.exec();
    close.reset();
  };
  const auto begin_range = [&](const std::string& path, const FileEntry& file) {
    add.bind(1, ledger_id);
    bind_bytes(add, 2, path);
    add.bind(3, install);
    add.bind(4, kOpen);
    add.bind(5, blob_row(path, file));
    add.exec();
    add.reset();
  };
  const Files before = head_files(ledger_id, install);
  const Files& after = swap.tree->files();
  for (const auto& [path, file] : before)
    if (const auto now = after.find(path); now == after.end() || now->second != file)
      end_range(path);
  for (const auto& [path, file] : after)
    if (const auto was = before.find(path); was == before.end() || was->second != file)
      begin_range(path, file);
  drop_unused(fresh);
}

void SqliteStore::drop_old_releases(int64_t ledger_id, const LedgerId& ledger) {
  std::vector<ReleaseRow> rows = read_releases(ledger_id, ledger);
  // What the PDP last decided with is what an agent goes back to, however old it is.
  const auto good = std::ranges::find_if(rows, [](const ReleaseRow& row) {
    return row.release.confirmed && !row.release.quarantined;
  });
  std::set<int64_t> kept;
  if (good != rows.end()) kept.insert(good->install);
  for (const ReleaseRow& row : rows)
    if (kept.size() < releases_kept_) kept.insert(row.install);
  drop_releases_except(ledger_id, kept);
}

// Also drops rows that read_releases() left out as damaged.
void SqliteStore::drop_releases_except(int64_t ledger_id, const std::set<int64_t>& kept) {
  std::vector<int64_t> dropped;
  SQLite::Statement query(database(), "SELECT install FROM releases WHERE ledger = ?");
  query.bind(1, ledger_id);
  while (query.executeStep()) {
    const int64_t install = query.getColumn(0).getInt64();
    if (!kept.contains(install)) dropped.push_back(install);
  }
  SQLite::Statement erase(database(), "DELETE FROM releases WHERE install = ?");
  for (int64_t install : dropped) {
    erase.bind(1, install);
    erase.exec();
    erase.reset();
  }
}

void SqliteStore::drop_unused(const std::set<int64_t>& blobs) {
  SQLite::Statement used(database(), "SELECT 1 FROM files WHERE blob = ? LIMIT 1");
  for (int64_t blob : blobs) {
    used.bind(1, blob);
    const bool is_used = used.executeStep();
    used.reset();
    if (!is_used) contents().remove(blob);
  }
}

Result<void> SqliteStore::drop(const LedgerId& ledger) {
  return attempt(fmt::format("cannot drop {}", ledger.text()), [&] {
    const auto id = find_ledger(ledger);
    if (!id) return;
    SQLite::Transaction transaction(database(), SQLite::TransactionBehavior::IMMEDIATE);
    SQLite::Statement close(
        database(), "UPDATE files SET last_install = ? WHERE ledger = ? AND last_install = ?");
    close.bind(1, next_install() - 1);
    close.bind(2, *id);
    close.bind(3, kOpen);
    close.exec();
    drop_releases_except(*id, {});
    heads_.erase(*id);
    transaction.commit();
  });
}

}  // namespace notp
