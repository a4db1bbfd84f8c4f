// The rows that map files to contents in releases. A row holds the range of installs in which its
// path had its content: an installation closes the ranges of changed paths and opens new ones, so
// it touches only what changed. Garbage is derived from the ranges, so a crash does not lose track
// of it. Part of SqliteStore: a function throws SQLite::Exception or Refused, and runs inside the
// caller's transaction.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "notp-client/store/blob_rows.hpp"
#include "notp-client/store/store.hpp"

namespace notp::store {

class FileTables {
 public:
  FileTables(SQLite::Database& database, BlobRows& blobs) : database_(database), blobs_(blobs) {}

  // The SQL of the table, for a new database.
  static const char* schema();

  // Returns the files of one installation as the rows list them, unverified.
  model::Files read(int64_t ledger_row, int64_t install);

  // Writes the tree and the new content of installation `install`. kNotFound when content of the
  // tree is neither stored nor in the record.
  void write(int64_t ledger_row, int64_t install, const InstallRecord& record);
  // Ends the files of the newest installation; `next_install` is the number of the next one.
  void end(int64_t ledger_row, int64_t next_install);
  bool has_open_rows(int64_t ledger_row);

  // The tree of the newest installation, cached so that installations and readers do not read its
  // rows; null when it is not cached. Cache it once it is durable; forget it before a commit that
  // may fail, and when the rows may be damaged.
  model::TreePtr remembered(int64_t ledger_row, int64_t install) const;
  void remember(int64_t ledger_row, int64_t install, model::TreePtr tree);
  void forget(int64_t ledger_row) { heads_.erase(ledger_row); }

  // Deletes files that no release has, at most `rows_max`, and the content that only they had;
  // returns how many rows it deleted. `installs`: of the ledger's releases, ascending.
  size_t collect_garbage(int64_t ledger_row, const std::vector<int64_t>& installs, size_t rows_max);
  // Deletes files without a ledger and content without a file, which damage and its repair can
  // leave.
  void drop_lost();
  // Returns the newest place of each ledger where a stored release has a blob, for a person.
  std::string users_of(int64_t blob);

 private:
  struct Head {
    int64_t install = 0;
    model::TreePtr tree;
  };
  model::Files open_files(int64_t ledger_row, int64_t next_install);
  void end_ranges_before(int64_t ledger_row, int64_t next_install);
  int64_t blob_row(const std::string& path, const model::FileEntry& file);
  size_t collect_between(int64_t ledger_row, int64_t after, int64_t before, size_t rows_max);
  void drop_unused(const std::set<int64_t>& blobs);

  SQLite::Database& database_;
  BlobRows& blobs_;
  std::map<int64_t, Head> heads_;  // by ledger row
};

}  // namespace notp::store
