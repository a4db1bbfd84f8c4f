// The rows that hold content: whole small blobs, large ones as lists of shared segments. Part of
// SqliteStore; every function throws SQLite::Exception and runs inside the caller's transaction.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>

#include "protocol/model/tree.hpp"

namespace notp {

class BlobRows {
 public:
  explicit BlobRows(SQLite::Database& database) : database_(database) {}

  // SQL of the tables, for a fresh database.
  static const char* schema();

  // The row id of a blob with this hash; nullopt when there is none.
  std::optional<int64_t> find(const Hash& hash);
  // Stores content and returns its row id. Content under a hash that is there already replaces what
  // is stored: whoever brings it again found the stored one damaged.
  int64_t put(const Hash& hash, ByteView content);
  void remove(int64_t blob);
  // kNotFound; kCorrupt when rows are missing, do not decode, or the bytes do not have the hash.
  Result<Content> read(const Hash& hash);

 private:
  // kRewrite: a segment that is there may be the damaged part, so its bytes are written again.
  enum class Segments { kShare, kRewrite };
  void write_content(int64_t blob, ByteView content, Segments segments);
  void clear_content(int64_t blob);
  int64_t hold_segment(ByteView segment, Segments segments);
  Result<Bytes> join_segments(ByteView ids, uint64_t bytes);

  SQLite::Database& database_;
};

}  // namespace notp
