// The agent's store in one SQLite file, "<folder>/agent.db"; README.md describes the format. This
// class owns the connection and the transactions, and combines the tables of trust, releases, files
// and blobs.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "common/storage/folder_lock.hpp"
#include "notp-client/store/store.hpp"
#include "notp-client/store/store_report.hpp"

namespace notp::store {

struct StoreTables;

inline constexpr const char* kStoreFile = "agent.db";  // in its folder

class SqliteStore final : public Store {
 public:
  // Creates `folder` and the database when missing. On a disk that takes no writes it serves the
  // stored state from memory. kConflict: another agent uses the folder. kCorrupt: the database is
  // damaged. kConfig: a program of another version wrote it; the file of the previous version is
  // migrated.
  static Result<std::unique_ptr<SqliteStore>> open(const std::filesystem::path& folder);

  // The disk took no writes when the store was opened: the store lives in memory, and changes end
  // with this process. Floors, sequence and clock are those of the disk at that time.
  bool is_volatile() const { return is_volatile_; }

  // For check(), stats() and the reading functions: does not change the store, damaged or not,
  // except to roll back a commit that a crash interrupted. kNotFound: there is no store. kConflict:
  // an agent uses it. kCorrupt: it is not a database any more. kConfig: another version of this
  // program wrote it.
  static Result<std::unique_ptr<SqliteStore>> open_to_read(const std::filesystem::path& folder);

  ~SqliteStore() override;

  // Reads everything: the file's structure, checksums, file lists against content roots, blobs and
  // segments against their hashes. AgentTrust verifies signatures.
  StoreCheck check();
  Result<StoreStats> stats();

  // kCorrupt when a floor, a listed head, a root, the sequence or the clock row is damaged: nothing
  // may be trusted then. A damaged release row is left out and logged, and its ledger is fetched
  // again, down to its floor; a damaged statement is left out and logged too.
  Result<StoreState> load() override;
  Result<model::TreePtr> tree(const model::LedgerId& ledger, uint64_t version) override;
  Result<model::Content> blob(const Hash& hash) override;
  Result<std::vector<Hash>> damaged(const model::LedgerId& ledger, uint64_t version) override;
  // The first large release goes into a new file, which replaces the old one: its bytes are written
  // once. Installing a release that is already stored repairs it: all its content in new_blobs
  // replaces what is stored. kNotFound when content of the tree is neither stored nor in new_blobs.
  Result<void> install(const InstallRecord& record) override;
  Result<void> quarantine(const model::LedgerId& ledger, uint64_t version,
                          const Error& error) override;
  Result<void> release(const model::LedgerId& ledger, uint64_t version) override;
  // kNotFound when the release is not kept.
  Result<void> confirm(const model::LedgerId& ledger, uint64_t version) override;
  Result<void> pin_root(const StoredRoot& root, bool freshness_key_changed) override;
  Result<void> keep_freshness(const FreshnessKeep& keep) override;
  Result<void> keep_assignment(uint64_t sequence, ByteView envelope) override;
  Result<void> keep_time(const trust::ClockMarks& marks) override;
  Result<void> reset_clock(TimeMs wall_ms) override;
  Result<void> drop(const model::LedgerId& ledger) override;
  Result<bool> collect_garbage() override;

 private:
  SqliteStore(FolderLock lock, std::filesystem::path file, std::unique_ptr<StoreTables> tables,
              bool is_volatile);

  StoreTables& tables();
  // Runs `body` with the tables in one transaction; without an error it is durable.
  template <typename Body>
  Result<void> write(std::string_view doing, Body&& body);
  Result<void> change_release(const model::LedgerId& ledger, uint64_t version,
                              const std::function<void(StoredRelease&)>& change);
  bool is_bulk(const InstallRecord& record);
  void bulk_load(const InstallRecord& record);
  size_t collect_rows();

  const FolderLock lock_;
  const std::filesystem::path file_;
  const bool is_volatile_;
  std::unique_ptr<StoreTables> tables_;  // null while the file is replaced: see tables()
  bool counted_ = false;                 // the holders of segments, since the start
};

}  // namespace notp::store
