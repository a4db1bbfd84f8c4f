// The rows that hold content: small blobs whole, large ones as lists of shared segments. Part of
// SqliteStore; every function throws SQLite::Exception and runs inside the caller's transaction.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/model/tree.hpp"

namespace notp::store {

class BlobRows {
 public:
  explicit BlobRows(SQLite::Database& database) : database_(database) {}

  // The SQL of the tables, for a new database.
  static const char* schema();
  static const char* release_schema();

  // Returns the row id of the blob with this hash; nullopt when there is none.
  std::optional<int64_t> find(const Hash& hash);
  // Stores content and returns its row id. If the hash is already stored and the stored content is
  // damaged, the new content replaces it.
  int64_t put(const Hash& hash, ByteView content);
  // Removes a blob that no file uses. Its segments may have other holders: collect_garbage()
  // releases them.
  void remove(int64_t blob);
  // Releases segments of removed blobs, and deletes those without a holder, at most `rows_max`;
  // returns how many rows it touched: fewer than `rows_max` when none is left.
  size_t collect_garbage(size_t rows_max);
  // Recomputes every segment's count of holders from the lists, and deletes unreferenced segments:
  // a list may have been lost when damage was replaced. Reads all lists, and no content.
  void recount();
  // Returns how often the lists name each segment.
  std::map<int64_t, int64_t> count_holders();
  // Damage that reading every blob or every segment finds.
  struct Damage {
    int64_t id = 0;
    std::string problem;
    bool miscounted = false;  // its bytes are fine
  };
  std::vector<Damage> check_blobs();
  std::vector<Damage> check_segments();
  // kNotFound; kCorrupt when rows are missing, do not decode, or the bytes do not have the hash.
  Result<model::Content> read(const Hash& hash);

 private:
  // kRewrite: an existing segment may be the damaged part, so its bytes are written again.
  enum class Segments { kShare, kRewrite };
  void write_content(int64_t blob, ByteView content, Segments segments);
  // nullptr: its content is in blob_contents.
  void write_list(int64_t blob, const Bytes* segments, size_t bytes);
  void clear_content(int64_t blob);
  size_t release_segments(ByteView& list, size_t segments_max);
  int64_t hold_segment(ByteView segment, Segments segments);
  Result<Bytes> join_segments(ByteView ids, uint64_t bytes);

  SQLite::Database& database_;
};

}  // namespace notp::store
