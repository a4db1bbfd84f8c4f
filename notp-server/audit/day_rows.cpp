#include "notp-server/audit/day_rows.hpp"

#include <fmt/format.h>

#include <cstring>

#include "common/limits.hpp"
#include "common/storage/sqlite.hpp"
#include "common/storage/sqlite_values.hpp"
#include "notp-server/audit/value_filter.hpp"

namespace notp::audit::day_rows {
namespace {

Bytes joined(const std::vector<Hash>& hashes) {
  Bytes out;
  for (const Hash& hash : hashes) out += hash.view();
  return out;
}

Result<std::vector<Hash>> split(ByteView bytes) {
  if (bytes.size() % Hash::kSize != 0) return corrupt("the hashes of a segment are damaged");
  std::vector<Hash> out;
  for (; !bytes.empty(); bytes.remove_prefix(Hash::kSize))
    out.push_back(*Hash::from_bytes(bytes.substr(0, Hash::kSize)));
  return out;
}

}  // namespace

Bytes sealed(ByteView content) {
  Bytes out(content);
  if (content.empty()) return out;
  const uint64_t sum = value_hash(content);
  out.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  return out;
}

Result<Bytes> unsealed(const SQLite::Column& column, std::string_view what) {
  const auto size = static_cast<size_t>(column.getBytes());
  if (size == 0) return Bytes();
  const ByteView all(static_cast<const char*>(column.getBlob()), size);
  uint64_t sum = 0;
  if (size > sizeof sum) {
    std::memcpy(&sum, all.data() + size - sizeof sum, sizeof sum);
    const ByteView content = all.substr(0, size - sizeof sum);
    if (value_hash(content) == sum) return Bytes(content);
  }
  return corrupt(fmt::format("the {} of a segment is damaged", what));
}

Result<SegmentRow> segment_row(SQLite::Statement& row) {
  SegmentRow out;
  auto log = record::LogId::from_bytes(blob_of(row.getColumn(1)));
  if (!log) return corrupt("the log of a segment is damaged");
  out.log = *log;
  out.first = static_cast<uint64_t>(row.getColumn(2).getInt64());
  out.count = row.getColumn(3).getUInt();
  out.node = row.getColumn(4).getString();
  out.first_time_ns = row.getColumn(5).getInt64();
  out.last_time_ns = row.getColumn(6).getInt64();
  out.stored_ms = row.getColumn(7).getInt64();
  if (out.count == 0 || out.count > limits::kSegmentRecordsMax || out.first > limits::kPositionMax)
    return corrupt("the place of a segment is damaged");
  return out;
}

Result<StoredSegment> read_segment(SQLite::Statement& found) {
  NOTP_ASSIGN(const SegmentRow place, segment_row(found));
  StoredSegment out;
  out.node = place.node;
  out.stored_ms = place.stored_ms;
  out.first_time_ns = place.first_time_ns;
  out.last_time_ns = place.last_time_ns;
  out.segment.head = {.log = place.log,
                      .first = place.first,
                      .count = place.count,
                      .content_bytes = static_cast<uint64_t>(found.getColumn(8).getInt64()),
                      .secret = blob_of(found.getColumn(9)),
                      .checkpoint = found.getColumn(10).getString()};
  NOTP_ASSIGN(const Bytes tree, unsealed(found.getColumn(11), "tree"));
  NOTP_ASSIGN(out.tree, record::Frontier::decode(tree));
  NOTP_ASSIGN(const Bytes subtrees, unsealed(found.getColumn(12), "hashes"));
  NOTP_ASSIGN(out.segment.subtrees, split(subtrees));
  NOTP_ASSIGN(out.index.head, unsealed(found.getColumn(13), "head"));
  NOTP_ASSIGN(out.index.filter, unsealed(found.getColumn(14), "filter"));
  NOTP_ASSIGN(out.segment.body, unsealed(found.getColumn(15), "body"));
  if (out.segment.head.secret.empty() && !out.segment.body.empty()) {
    out.reduced = true;
    out.segment.head.secret.assign(record::kSegmentSecretBytes, '\0');
  }
  if (out.segment.body.empty() && out.segment.subtrees.empty())
    return corrupt("the body of a segment is missing");
  return out;
}

void insert_segment(SQLite::Statement& meta, SQLite::Statement& body, uint32_t row,
                    const StoredSegment& stored) {
  const record::SegmentHead& head = stored.segment.head;
  meta.reset();
  meta.bind(1, static_cast<int64_t>(row));
  bind_blob(meta, 2, head.log.view());
  meta.bind(3, static_cast<int64_t>(head.first));
  meta.bind(4, static_cast<int64_t>(head.count));
  meta.bind(5, stored.node);
  meta.bind(6, stored.first_time_ns);
  meta.bind(7, stored.last_time_ns);
  meta.bind(8, stored.stored_ms);
  meta.bind(9, static_cast<int64_t>(head.content_bytes));
  bind_blob(meta, 10, stored.reduced ? ByteView() : ByteView(head.secret));
  meta.bind(11, head.checkpoint);
  bind_blob(meta, 12, sealed(stored.tree.encode()));
  bind_blob(meta, 13, sealed(joined(stored.segment.subtrees)));
  bind_blob(meta, 14, sealed(stored.index.head));
  bind_blob(meta, 15, sealed(stored.index.filter));
  meta.exec();
  if (stored.segment.body.empty()) return;
  body.reset();
  body.bind(1, static_cast<int64_t>(row));
  bind_blob(body, 2, sealed(stored.segment.body));
  body.exec();
}

Result<std::unique_ptr<SQLite::Database>> connect_closed(const std::filesystem::path& file) {
  return sqlite_try(fmt::format("cannot read {}", file.string()), [&] {
    auto database = std::make_unique<SQLite::Database>(database_uri(file, "mode=ro&immutable=1"),
                                                       SQLite::OPEN_READONLY | SQLite::OPEN_URI);
    database->exec("PRAGMA cell_size_check = ON");
    database->exec("PRAGMA query_only = ON");
    return database;
  });
}

}  // namespace notp::audit::day_rows
