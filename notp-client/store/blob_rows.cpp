#include "notp-client/store/blob_rows.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "notp-client/store/columns.hpp"
#include "notp-client/store/segments.hpp"

namespace notp::store {
namespace {

enum class Coding { kPlain = 0, kZstd = 1 };

constexpr const char* kSegmentQuery =
    "SELECT bytes, coding, content FROM segments JOIN segment_contents ON segment = id "
    "WHERE id = ?";

// Executes a statement of kSegmentQuery.
Result<Bytes> read_segment(SQLite::Statement& query, int64_t id) {
  query.reset();
  query.bind(1, id);
  if (!query.executeStep()) return fail(ErrorCode::kCorrupt, "a segment is missing");
  const auto bytes = static_cast<uint64_t>(query.getColumn(0).getInt64());
  if (bytes > limits::kSegmentBytesMax)
    return fail(ErrorCode::kCorrupt, "a segment's length is out of range");
  const ByteView content = view(query.getColumn(2));
  const int coding = query.getColumn(1).getInt();
  if (coding == static_cast<int>(Coding::kZstd)) return zstd_decompress(content, {}, bytes);
  if (coding != static_cast<int>(Coding::kPlain) || content.size() != bytes)
    return fail(ErrorCode::kCorrupt, "a segment is not coded as its row says");
  return Bytes(content);
}

Bytes pack_ids(const std::vector<int64_t>& ids) {
  Bytes out;
  for (int64_t id : ids) put_varint(out, static_cast<uint64_t>(id));
  return out;
}

std::unexpected<Error> corrupt(const Hash& hash, std::string_view why) {
  return fail(ErrorCode::kCorrupt,
              fmt::format("stored content {} is damaged: {}; it has to be fetched again",
                          hash.brief(), why));
}

}  // namespace

// Reference counts are in their own table: SQLite rewrites a whole row to change one column.
const char* BlobRows::schema() {
  return R"sql(
    CREATE TABLE blobs(
      id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL,
      segments BLOB);  -- varint ids in order; NULL: the content is in blob_contents
    CREATE TABLE blob_contents(blob INTEGER PRIMARY KEY, content BLOB NOT NULL);
    CREATE TABLE segments(
      id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL,
      holders INTEGER NOT NULL);
    CREATE TABLE segment_contents(
      segment INTEGER PRIMARY KEY, coding INTEGER NOT NULL, content BLOB NOT NULL);
  )sql";
}

const char* BlobRows::release_schema() {
  return "CREATE TABLE released(id INTEGER PRIMARY KEY, segments BLOB NOT NULL);";
}

std::optional<int64_t> BlobRows::find(const Hash& hash) {
  SQLite::Statement query(database_, "SELECT id FROM blobs WHERE hash = ?");
  bind_bytes(query, 1, hash.view());
  if (!query.executeStep()) return std::nullopt;
  return query.getColumn(0).getInt64();
}

int64_t BlobRows::put(const Hash& hash, ByteView content) {
  if (const auto existing = find(hash)) {
    // Most content of a release that is installed again is intact.
    if (read(hash)) return *existing;
    clear_content(*existing);
    write_content(*existing, content, Segments::kRewrite);
    return *existing;
  }
  SQLite::Statement insert(database_, "INSERT INTO blobs(hash, bytes) VALUES(?, ?)");
  bind_bytes(insert, 1, hash.view());
  insert.bind(2, static_cast<int64_t>(content.size()));
  insert.exec();
  const int64_t blob = database_.getLastInsertRowid();
  write_content(blob, content, Segments::kShare);
  return blob;
}

void BlobRows::write_content(int64_t blob, ByteView content, Segments segments) {
  if (content.size() <= limits::kSmallFileBytesMax) {
    SQLite::Statement insert(database_, "INSERT OR REPLACE INTO blob_contents VALUES(?, ?)");
    insert.bind(1, blob);
    bind_bytes(insert, 2, content);
    insert.exec();
    if (segments == Segments::kRewrite) write_list(blob, nullptr, content.size());
    return;
  }
  std::vector<int64_t> ids;
  for (ByteView segment : cut_segments(content)) ids.push_back(hold_segment(segment, segments));
  const Bytes packed = pack_ids(ids);
  write_list(blob, &packed, content.size());
}

void BlobRows::write_list(int64_t blob, const Bytes* segments, size_t bytes) {
  SQLite::Statement update(database_, "UPDATE blobs SET segments = ?, bytes = ? WHERE id = ?");
  if (segments != nullptr) bind_bytes(update, 1, *segments);
  update.bind(2, static_cast<int64_t>(bytes));
  update.bind(3, blob);
  update.exec();
}

int64_t BlobRows::hold_segment(ByteView segment, Segments segments) {
  const Hash hash = sha256(segment);
  SQLite::Statement hold(
      database_,
      "INSERT INTO segments(hash, bytes, holders) VALUES(?, ?, 1) "
      "ON CONFLICT(hash) DO UPDATE SET holders = holders + 1, bytes = excluded.bytes "
      "RETURNING id, holders");
  bind_bytes(hold, 1, hash.view());
  hold.bind(2, static_cast<int64_t>(segment.size()));
  hold.executeStep();
  const int64_t id = hold.getColumn(0).getInt64();
  const bool fresh = hold.getColumn(1).getInt64() == 1;
  hold.reset();
  if (!fresh && segments == Segments::kShare) return id;
  // The fastest level: JSON shrinks to a fifth at several hundred MB a second, so the disk has less
  // to flush.
  Result<Bytes> coded = zstd_compress(segment, {}, {.level = 1});
  const bool smaller = coded && coded->size() < segment.size();
  SQLite::Statement insert(database_, "INSERT OR REPLACE INTO segment_contents VALUES(?, ?, ?)");
  insert.bind(1, id);
  insert.bind(2, static_cast<int>(smaller ? Coding::kZstd : Coding::kPlain));
  bind_bytes(insert, 3, smaller ? ByteView(*coded) : segment);
  insert.exec();
  return id;
}

void BlobRows::clear_content(int64_t blob) {
  SQLite::Statement release(database_,
                            "INSERT INTO released(segments) SELECT segments FROM blobs WHERE id = "
                            "? AND segments NOTNULL");
  SQLite::Statement erase(database_, "DELETE FROM blob_contents WHERE blob = ?");
  for (SQLite::Statement* statement : {&release, &erase}) {
    statement->bind(1, blob);
    statement->exec();
  }
}

void BlobRows::remove(int64_t blob) {
  clear_content(blob);
  SQLite::Statement erase(database_, "DELETE FROM blobs WHERE id = ?");
  erase.bind(1, blob);
  erase.exec();
}

size_t BlobRows::collect_garbage(size_t rows_max) {
  SQLite::Statement next(database_, "SELECT id, segments FROM released LIMIT 1");
  SQLite::Statement keep(database_, "UPDATE released SET segments = ? WHERE id = ?");
  SQLite::Statement done(database_, "DELETE FROM released WHERE id = ?");
  size_t rows = 0;
  while (rows < rows_max && next.executeStep()) {
    const int64_t id = next.getColumn(0).getInt64();
    const Bytes list(view(next.getColumn(1)));
    next.reset();
    ByteView rest = list;
    rows += 1 + release_segments(rest, rows_max - rows);
    SQLite::Statement& write = rest.empty() ? done : keep;
    if (!rest.empty()) bind_bytes(write, 1, rest);
    write.bind(rest.empty() ? 1 : 2, id);
    write.exec();
    write.reset();
  }
  return rows;
}

size_t BlobRows::release_segments(ByteView& list, size_t segments_max) {
  SQLite::Statement release(
      database_, "UPDATE segments SET holders = holders - 1 WHERE id = ? RETURNING holders");
  SQLite::Statement forget(database_, "DELETE FROM segments WHERE id = ?");
  SQLite::Statement erase(database_, "DELETE FROM segment_contents WHERE segment = ?");
  size_t segments = 0;
  for (; segments < segments_max && !list.empty(); ++segments) {
    const Result<uint64_t> id = take_varint(list);
    if (!id) {  // recount() finds what a damaged list held
      list = {};
      break;
    }
    release.bind(1, static_cast<int64_t>(*id));
    const bool last = release.executeStep() && release.getColumn(0).getInt64() <= 0;
    release.reset();
    if (!last) continue;
    for (SQLite::Statement* statement : {&forget, &erase}) {
      statement->bind(1, static_cast<int64_t>(*id));
      statement->exec();
      statement->reset();
    }
  }
  return segments;
}

std::map<int64_t, int64_t> BlobRows::count_holders() {
  std::map<int64_t, int64_t> holders;
  SQLite::Statement lists(database_,
                          "SELECT segments FROM blobs WHERE segments NOTNULL "
                          "UNION ALL SELECT segments FROM released");
  while (lists.executeStep()) {
    ByteView ids = view(lists.getColumn(0));
    while (!ids.empty()) {
      const Result<uint64_t> id = take_varint(ids);
      if (!id) break;
      ++holders[static_cast<int64_t>(*id)];
    }
  }
  return holders;
}

void BlobRows::recount() {
  const std::map<int64_t, int64_t> holders = count_holders();
  std::vector<std::pair<int64_t, int64_t>> wrong;
  SQLite::Statement stored(database_, "SELECT id, holders FROM segments");
  while (stored.executeStep()) {
    const int64_t id = stored.getColumn(0).getInt64();
    const auto found = holders.find(id);
    const int64_t right = found == holders.end() ? 0 : found->second;
    if (stored.getColumn(1).getInt64() != right) wrong.emplace_back(id, right);
  }
  SQLite::Statement set(database_, "UPDATE segments SET holders = ? WHERE id = ?");
  for (const auto& [id, right] : wrong) {
    set.bind(1, right);
    set.bind(2, id);
    set.exec();
    set.reset();
  }
  database_.exec(R"sql(
    DELETE FROM segments WHERE holders <= 0;
    DELETE FROM segment_contents WHERE segment NOT IN (SELECT id FROM segments);
    DELETE FROM blob_contents WHERE blob NOT IN (SELECT id FROM blobs);
  )sql");
}

Result<model::Content> BlobRows::read(const Hash& hash) {
  SQLite::Statement query(database_,
                          "SELECT bytes, segments, content FROM blobs "
                          "LEFT JOIN blob_contents ON blob = id WHERE hash = ?");
  bind_bytes(query, 1, hash.view());
  if (!query.executeStep())
    return fail(ErrorCode::kNotFound, fmt::format("content {} is not stored", hash.brief()));
  Bytes content;
  const auto bytes = static_cast<uint64_t>(query.getColumn(0).getInt64());
  if (!query.getColumn(1).isNull()) {
    if (bytes > limits::kBlobBytesMax) return corrupt(hash, "its length is out of range");
    Result<Bytes> joined = join_segments(view(query.getColumn(1)), bytes);
    if (!joined) return corrupt(hash, joined.error().message);
    content = *std::move(joined);
  } else if (!query.getColumn(2).isNull()) {
    content = view(query.getColumn(2));
  } else {
    return corrupt(hash, "its bytes are missing");
  }
  if (content.size() != bytes) return corrupt(hash, "it has another length");
  if (model::blob_hash(content) != hash) return corrupt(hash, "its bytes have another hash");
  return std::make_shared<const Bytes>(std::move(content));
}

Result<Bytes> BlobRows::join_segments(ByteView ids, uint64_t bytes) {
  SQLite::Statement query(database_, kSegmentQuery);
  Bytes content;
  content.reserve(bytes);
  while (!ids.empty()) {
    NOTP_ASSIGN(const uint64_t id, take_varint(ids));
    NOTP_ASSIGN(const Bytes segment, read_segment(query, static_cast<int64_t>(id)));
    if (content.size() + segment.size() > bytes)
      return fail(ErrorCode::kCorrupt, "its segments are longer than it is");
    content.append(segment);
  }
  return content;
}

std::vector<BlobRows::Damage> BlobRows::check_segments() {
  std::vector<Damage> damaged;
  const std::map<int64_t, int64_t> holders = count_holders();
  SQLite::Statement content(database_, kSegmentQuery);
  SQLite::Statement query(database_, "SELECT id, hash, holders FROM segments");
  while (query.executeStep()) {
    const int64_t id = query.getColumn(0).getInt64();
    const Result<Bytes> segment = read_segment(content, id);
    const auto held = holders.find(id);
    if (!segment)
      damaged.push_back({id, segment.error().message, false});
    else if (sha256(*segment).view() != view(query.getColumn(1)))
      damaged.push_back({id, "its bytes have another hash", false});
    else if (query.getColumn(2).getInt64() != (held == holders.end() ? 0 : held->second))
      damaged.push_back({id, "its count of holders is wrong", true});
  }
  return damaged;
}

std::vector<BlobRows::Damage> BlobRows::check_blobs() {
  std::vector<Damage> damaged;
  SQLite::Statement query(database_, "SELECT id, hash FROM blobs");
  while (query.executeStep()) {
    const int64_t id = query.getColumn(0).getInt64();
    const auto hash = Hash::from_bytes(view(query.getColumn(1)));
    if (!hash) {
      damaged.push_back({id, "its hash is damaged", false});
    } else if (const auto content = read(*hash); !content) {
      damaged.push_back({id, content.error().message, false});
    }
  }
  return damaged;
}

}  // namespace notp::store
