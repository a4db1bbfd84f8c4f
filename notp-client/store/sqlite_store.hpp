// The agent's store in one SQLite file, "<folder>/agent.db": README.md has the format. This class
// is the roof over the tables of trust, releases, files and blobs: it owns the connection and has
// the transactions.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "notp-client/store/folder_lock.hpp"
#include "notp-client/store/store.hpp"
#include "notp-client/store/store_report.hpp"

namespace notp {

struct StoreTables;

inline constexpr const char* kStoreFile = "agent.db";  // in its folder

class SqliteStore final : public Store {
 public:
  // Creates `folder` and the database when missing. On a disk that takes no writes it serves what
  // is there, from memory.
  // kConflict: another agent uses the folder. kCorrupt: the database is damaged. kConfig: a program
  // of another version wrote it, but the one before, whose file is taken over.
  static Result<std::unique_ptr<SqliteStore>> open(const std::filesystem::path& folder);

  // The disk took no writes when the store was opened: it lives in memory, what is kept with this
  // process. Floors, sequence and clock are those of the disk until then.
  bool is_volatile() const { return is_volatile_; }

  // For check(), stats() and the reading functions: changes nothing of the store, damaged or not,
  // but for what a crash in the middle of a commit has left to undo. kNotFound: there is no store.
  // kConflict: an agent uses it. kCorrupt: it is not a database any more. kConfig: another version
  // of this program wrote it.
  static Result<std::unique_ptr<SqliteStore>> open_to_read(const std::filesystem::path& folder);

  ~SqliteStore() override;

  // Reads all there is: the file's structure, checksums, file lists against content roots, blobs
  // and segments against their hashes. What signatures say is AgentTrust's to judge.
  StoreCheck check();
  Result<StoreStats> stats();

  // kCorrupt when a floor, a listed head, a root, the sequence or the clock row is damaged: nothing
  // may be trusted then. A damaged release row is left out and logged, its ledger is fetched again,
  // down to its floor; so is a damaged statement.
  Result<StoreState> load() override;
  Result<TreePtr> tree(const LedgerId& ledger, uint64_t version) override;
  Result<Content> blob(const Hash& hash) override;
  Result<std::vector<Hash>> damaged(const LedgerId& ledger, uint64_t version) override;
  // The first large release goes into a new file, which takes the old one's place: its bytes are
  // written once. Installing a release that is stored already repairs it: all its content in
  // new_blobs replaces what is stored. kNotFound when content of the tree is neither stored nor in
  // new_blobs.
  Result<void> install(const InstallRecord& record) override;
  Result<void> quarantine(const LedgerId& ledger, uint64_t version, const Error& error) override;
  // kNotFound when the release is not kept.
  Result<void> confirm(const LedgerId& ledger, uint64_t version) override;
  Result<void> pin_root(const StoredRoot& root, bool freshness_key_changed) override;
  Result<void> keep_freshness(const FreshnessKeep& keep) override;
  Result<void> keep_time(const ClockMarks& marks) override;
  Result<void> reset_clock(TimeMs wall_ms) override;
  Result<void> drop(const LedgerId& ledger) override;
  Result<bool> collect_garbage() override;

 private:
  SqliteStore(FolderLock lock, std::filesystem::path file, std::unique_ptr<StoreTables> tables,
              bool is_volatile);

  StoreTables& tables();
  // Runs `body` with the tables in one transaction; without an error it is durable.
  template <typename Body>
  Result<void> write(std::string_view doing, Body&& body);
  Result<void> change_release(const LedgerId& ledger, uint64_t version,
                              const std::function<void(StoredRelease&)>& change);
  bool is_bulk(const InstallRecord& record);
  void bulk_load(const InstallRecord& record);
  size_t collect_rows();

  const FolderLock lock_;
  const std::filesystem::path file_;
  const bool is_volatile_;
  std::unique_ptr<StoreTables> tables_;  // null between one file and the next: see tables()
  bool counted_ = false;                 // the holders of segments, since the start
};

}  // namespace notp
