// The schema of a day's database, and its rows: shared by what writes, reads and rewrites one.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>
#include <string_view>

#include "notp-server/audit/audit_store.hpp"

namespace notp::audit::day_rows {

inline constexpr int kFormat = 1;
// Bodies lie apart, so that a search reads heads and filters alone. A secret of no bytes beside a
// body says that the body is a reduced one.
inline constexpr const char* kTables = R"(
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE segments (
  row INTEGER PRIMARY KEY,
  log BLOB NOT NULL,
  first INTEGER NOT NULL,
  count INTEGER NOT NULL,
  node TEXT NOT NULL,
  first_time_ns INTEGER NOT NULL,
  last_time_ns INTEGER NOT NULL,
  stored_ms INTEGER NOT NULL,
  content_bytes INTEGER NOT NULL,
  secret BLOB NOT NULL,
  checkpoint TEXT NOT NULL,
  tree BLOB NOT NULL,
  subtrees BLOB NOT NULL,
  head BLOB NOT NULL,
  filter BLOB NOT NULL
) STRICT;
CREATE TABLE bodies (row INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
)";
inline constexpr const char* kIndex = "CREATE INDEX segments_by_log ON segments (log, first)";

inline constexpr const char* kInsertSegment =
    "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
inline constexpr const char* kInsertBody = "INSERT INTO bodies VALUES (?, ?)";
// What segment_row() and read_segment() read.
inline constexpr const char* kRowColumns =
    "row, log, first, count, node, first_time_ns, last_time_ns, stored_ms";
inline constexpr const char* kSegmentColumns =
    "row, log, first, count, node, first_time_ns, last_time_ns, stored_ms, content_bytes, secret, "
    "checkpoint, tree, subtrees, head, filter, "
    "(SELECT body FROM bodies WHERE bodies.row = segments.row)";

inline std::unexpected<Error> corrupt(std::string message) {
  return fail(ErrorCode::kCorrupt, std::move(message));
}

// A blob and 8 bytes of checksum; nothing stays nothing.
Bytes sealed(ByteView content);
// kCorrupt names `what`.
Result<Bytes> unsealed(const SQLite::Column& column, std::string_view what);

// kCorrupt.
Result<SegmentRow> segment_row(SQLite::Statement& row);
Result<StoredSegment> read_segment(SQLite::Statement& row);
// Throws. A segment without a body has no row in `bodies`.
void insert_segment(SQLite::Statement& segments, SQLite::Statement& bodies, uint32_t row,
                    const StoredSegment& stored);

// Opens a file that is not written, for reading.
Result<std::unique_ptr<SQLite::Database>> connect_closed(const std::filesystem::path& file);

}  // namespace notp::audit::day_rows
