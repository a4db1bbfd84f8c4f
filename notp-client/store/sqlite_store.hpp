// The agent's store in one SQLite file, "<folder>/agent.db".
//
// An install touches only what changed: a file row holds the range of installs in which its path
// had its content, so an install closes the ranges of changed paths and opens new ones. What no
// kept release needs any more is left to collect(): it follows from the ranges, so a crash loses no
// track of it. The first large release goes into a fresh file that takes the old one's place
// ("agent.db.new": sqlite_cold.cpp). Content lies in blob_rows.hpp. Rows whose damage could change
// a decision (floors, roots, freshness, releases, the clock) carry a checksum; content is checked
// by its hash, trees by their content root.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/limits.hpp"
#include "notp-client/store/blob_rows.hpp"
#include "notp-client/store/folder_lock.hpp"
#include "notp-client/store/store.hpp"
#include "notp-client/store/store_report.hpp"

namespace notp {

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
  // kConflict: an agent uses it. kCorrupt: it is no database any more. kConfig: another version of
  // this program wrote it.
  static Result<std::unique_ptr<SqliteStore>> open_to_read(const std::filesystem::path& folder);

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
  // Swapping in a release that is stored already repairs it: all its content in new_blobs replaces
  // what is stored. kNotFound when content of the tree is neither stored nor in new_blobs.
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
  // The newest install of a ledger and the files its open rows hold.
  struct Head {
    int64_t install = 0;
    TreePtr tree;
  };
  struct Installed {
    int64_t ledger_id = 0;
    int64_t install = 0;
  };
  struct ReleaseRow {
    int64_t install = 0;
    StoredRelease release;
  };

  // Without a lock: of a file that only another SqliteStore knows.
  SqliteStore(std::optional<FolderLock> lock, std::filesystem::path file,
              std::unique_ptr<SQLite::Database> database)
      : lock_(std::move(lock)), file_(std::move(file)), database_(std::move(database)) {}

  static Result<std::unique_ptr<SQLite::Database>> open_file(const std::filesystem::path& file);
  SQLite::Database& database();
  BlobRows contents() { return BlobRows(database()); }

  void create_schema();
  void check_version();

  int64_t ledger_row(const LedgerId& ledger);
  std::optional<int64_t> find_ledger(const LedgerId& ledger);
  Floor read_floor(int64_t ledger_id);
  void write_floor(int64_t ledger_id, const LedgerId& ledger, const Floor& floor);

  static const char* trust_schema();
  void migrate_3_to_4();
  std::vector<StoredRoot> read_roots();
  void write_root(const StoredRoot& root);
  uint64_t read_sequence();
  void write_sequence(uint64_t sequence);
  std::map<int64_t, StoredStatement> read_statements();  // by id, oldest first
  void write_statement(int64_t id, const StoredStatement& statement);
  void keep_vouchers(const std::vector<std::pair<LedgerId, Hash>>& parted);
  void drop_unneeded_statements();
  Floor read_listed(int64_t ledger_id, const LedgerId& ledger);
  void write_listed(int64_t ledger_id, const LedgerId& ledger, const Floor& listed);
  ClockMarks read_clock();
  void write_clock(const ClockMarks& marks);
  void raise_clock(const ClockMarks& marks);

  void find_losses(StoreState& state);
  std::vector<ReleaseRow> read_releases(int64_t ledger_id, const LedgerId& ledger);
  std::optional<ReleaseRow> find_release(int64_t ledger_id, const LedgerId& ledger,
                                         uint64_t version);
  void write_release(int64_t ledger_id, const ReleaseRow& row);
  Result<void> change_release(const LedgerId& ledger, uint64_t version,
                              const std::function<void(StoredRelease&)>& change);

  Files read_files(int64_t ledger_id, int64_t install);
  Files head_files(int64_t ledger_id, int64_t next_install);
  void end_ranges_before(int64_t ledger_id, int64_t next_install);
  Installed store_release(const InstallRecord& record);
  int64_t write_install(int64_t ledger_id, const InstallRecord& record);
  void write_files(int64_t ledger_id, int64_t install, const InstallRecord& record);
  int64_t next_install();
  int64_t blob_row(const std::string& path, const FileEntry& file);
  bool has_content(int64_t ledger_id);
  void drop_releases_except(int64_t ledger_id, const LedgerId& ledger,
                            const std::set<uint64_t>& versions);
  void drop_unused(const std::set<int64_t>& blobs);

  bool is_cold(const InstallRecord& record);
  void load_cold(const InstallRecord& record);
  Installed fill(const std::filesystem::path& fresh, const InstallRecord& record);
  void replace_by(const std::filesystem::path& fresh);

  size_t collect_rows();
  void collect_lost();
  size_t collect_files(int64_t ledger_id, size_t rows_max);
  size_t collect_files_between(int64_t ledger_id, int64_t after, int64_t before, size_t rows_max);
  void check_database(StoreCheck& check);
  void check_trust(StoreCheck& check);
  void check_ledger(int64_t ledger_id, const LedgerId& ledger, StoreCheck& check);
  void check_content(StoreCheck& check);
  std::string users_of(int64_t blob);
  LedgerStats ledger_stats(int64_t ledger_id, const LedgerId& ledger);
  std::vector<std::pair<int64_t, std::string>> ledger_names();

  bool give_space_back();
  uint64_t log_bytes() const;
  void shorten_log(uint64_t bytes_max);

  const std::optional<FolderLock> lock_;
  const std::filesystem::path file_;
  // nullptr between one file and the next that takes its place: see database().
  std::unique_ptr<SQLite::Database> database_;
  bool is_volatile_ = false;
  bool counted_ = false;  // the holders of segments, since the start
  std::map<int64_t, Head>
      heads_;  // by ledger row; what the open rows hold, so that an install need not read them
};

}  // namespace notp
