#include "notp-client/lane/store/lane_rows.hpp"

#include <xxhash.h>

#include <algorithm>

#include "common/storage/sqlite_values.hpp"

namespace notp::lane {
namespace {

constexpr int kFormat = 1;
// `generation` as of the snapshot that had the token last. `checksum` detects damage, not an
// attacker, who could compute it as well.
constexpr const char* kSchema = R"(
CREATE TABLE lane (
  id INTEGER PRIMARY KEY CHECK (id = 1), trust_domain TEXT NOT NULL, lane TEXT NOT NULL,
  instance BLOB NOT NULL, "grant" INTEGER NOT NULL, revision INTEGER NOT NULL,
  has_tokens INTEGER NOT NULL, hard_s INTEGER NOT NULL, serves INTEGER NOT NULL,
  life_s INTEGER NOT NULL, signed_ms INTEGER NOT NULL, heard_ms INTEGER NOT NULL,
  trusted_ms INTEGER NOT NULL, generation INTEGER NOT NULL, key_check BLOB NOT NULL,
  checksum INTEGER NOT NULL) STRICT;
CREATE TABLE revocations (
  kind INTEGER NOT NULL, id BLOB NOT NULL, not_before_s INTEGER NOT NULL,
  until_s INTEGER NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (kind, id))
  STRICT, WITHOUT ROWID;
CREATE INDEX revocations_end ON revocations (until_s);
CREATE TABLE lists (
  id BLOB NOT NULL UNIQUE, until_s INTEGER NOT NULL, bits INTEGER NOT NULL, list BLOB NOT NULL,
  checksum INTEGER NOT NULL) STRICT;
CREATE TABLE tokens (
  id BLOB PRIMARY KEY, until_s INTEGER NOT NULL, generation INTEGER NOT NULL,
  record BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_end ON tokens (until_s);
)";

int64_t signed_of(uint64_t value) { return static_cast<int64_t>(value); }
uint64_t unsigned_at(const SQLite::Column& column) {
  return static_cast<uint64_t>(column.getInt64());
}

void put_number(Bytes& out, int64_t value) {
  for (int byte = 0; byte < 8; ++byte) out.push_back(static_cast<char>(value >> (8 * byte)));
}

int64_t checksum_of(ByteView bytes) { return signed_of(XXH3_64bits(bytes.data(), bytes.size())); }

int64_t checksum_of(const feed::Event& event) {
  Bytes row(event.id.view());
  for (const int64_t value : {int64_t{static_cast<uint8_t>(event.kind)}, event.not_before_s,
                              event.until_s, int64_t{event.bits}})
    put_number(row, value);
  row += event.list;
  return checksum_of(row);
}

int64_t checksum_of(const LaneRow& row) {
  Bytes bytes = row.trust_domain + '\0' + row.lane + '\0' + row.key_check + '\0';
  const auto position = row.marks.position.value_or(wire::LanePosition{});
  bytes += position.instance.view();
  const feed::LaneTerms& terms = row.marks.terms;
  for (const int64_t value :
       {signed_of(position.grant), signed_of(position.revision), int64_t{row.marks.has_tokens},
        signed_of(terms.hard_s), int64_t{terms.serves}, signed_of(terms.life_s),
        row.marks.signed_ms, row.marks.heard_ms, row.marks.trusted_ms, row.generation})
    put_number(bytes, value);
  return checksum_of(bytes);
}

[[noreturn]] void refuse_damaged(std::string_view what) {
  refuse(ErrorCode::kCorrupt, fmt::format("{} is damaged", what));
}

feed::TokenId id_of(const SQLite::Column& column) {
  const auto id = feed::TokenId::from_bytes(blob_of(column));
  if (!id) refuse_damaged("an id of the lane");
  return *id;
}

feed::Event revocation_of(SQLite::Statement& row) {
  feed::Event event;
  event.kind = static_cast<feed::EventKind>(row.getColumn(0).getInt());
  event.id = id_of(row.getColumn(1));
  event.not_before_s = row.getColumn(2).getInt64();
  event.until_s = row.getColumn(3).getInt64();
  if (row.getColumn(4).getInt64() != checksum_of(event)) refuse_damaged("a revocation");
  return event;
}

feed::Event list_of(SQLite::Statement& row) {
  feed::Event event;
  event.kind = feed::EventKind::kList;
  event.id = id_of(row.getColumn(0));
  event.until_s = row.getColumn(1).getInt64();
  event.bits = static_cast<uint32_t>(row.getColumn(2).getInt());
  event.list = blob_of(row.getColumn(3));
  if (row.getColumn(4).getInt64() != checksum_of(event)) refuse_damaged("a status list");
  return event;
}

// What the sealed record belongs to.
Bytes seal_context(const feed::TokenId& id) { return "notp.lane.token.v1" + Bytes(id.view()); }

feed::Event token_of(SQLite::Statement& row, const RecordSeal& seal) {
  const feed::TokenId id = id_of(row.getColumn(0));
  const auto plain = seal.open(blob_of(row.getColumn(1)), seal_context(id));
  if (!plain) refuse_damaged("a token of the lane");
  auto record = feed::decode_record(*plain);
  if (!record) refuse_damaged("a token of the lane");
  return feed::Event::token(id, *std::move(record));
}

// Passes events on in steps.
class Steps {
 public:
  explicit Steps(const EventVisitor& visit) : visit_(visit) {}
  void add(feed::Event event) {
    bytes_ += event.list.size();
    events_.push_back(std::move(event));
    if (events_.size() >= limits::kLaneRowsLoaded || bytes_ >= limits::kLaneInflatedBytesMax)
      flush();
  }
  void flush() {
    if (!events_.empty()) visit_(events_);
    events_.clear();
    bytes_ = 0;
  }

 private:
  const EventVisitor& visit_;
  std::vector<feed::Event> events_;
  size_t bytes_ = 0;
};

bool remove_step(SQLite::Database& database, const char* sql, int64_t now_s, size_t rows_max) {
  SQLite::Statement remove(database, sql);
  remove.bind(1, now_s);
  remove.bind(2, static_cast<int64_t>(rows_max));
  return static_cast<size_t>(remove.exec()) >= rows_max;
}

}  // namespace

void make_lane_tables(SQLite::Database& database) {
  make_tables(database, "lane.db", kFormat, kSchema);
}

std::optional<LaneRow> read_lane_row(SQLite::Database& database) {
  SQLite::Statement found(
      database,
      "SELECT trust_domain, lane, instance, \"grant\", revision, has_tokens, hard_s, serves, "
      "life_s, signed_ms, heard_ms, trusted_ms, generation, key_check, checksum FROM lane");
  if (!found.executeStep()) return std::nullopt;
  LaneRow row;
  row.trust_domain = found.getColumn(0).getString();
  row.lane = found.getColumn(1).getString();
  const wire::LanePosition position{id_of(found.getColumn(2)), unsigned_at(found.getColumn(3)),
                                    unsigned_at(found.getColumn(4))};
  if (!position.instance.is_zero()) row.marks.position = position;
  row.marks.has_tokens = found.getColumn(5).getInt() != 0;
  row.marks.terms = {unsigned_at(found.getColumn(6)), found.getColumn(7).getInt() != 0,
                     unsigned_at(found.getColumn(8))};
  row.marks.signed_ms = found.getColumn(9).getInt64();
  row.marks.heard_ms = found.getColumn(10).getInt64();
  row.marks.trusted_ms = found.getColumn(11).getInt64();
  row.generation = found.getColumn(12).getInt64();
  row.key_check = blob_of(found.getColumn(13));
  if (found.getColumn(14).getInt64() != checksum_of(row)) refuse_damaged("the lane's row");
  return row;
}

void put_lane_row(SQLite::Database& database, const LaneRow& row) {
  SQLite::Statement put(
      database,
      "INSERT OR REPLACE INTO lane VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const auto position = row.marks.position.value_or(wire::LanePosition{});
  put.bind(1, row.trust_domain);
  put.bind(2, row.lane);
  bind_blob(put, 3, position.instance.view());
  put.bind(4, signed_of(position.grant));
  put.bind(5, signed_of(position.revision));
  put.bind(6, int{row.marks.has_tokens});
  put.bind(7, signed_of(row.marks.terms.hard_s));
  put.bind(8, int{row.marks.terms.serves});
  put.bind(9, signed_of(row.marks.terms.life_s));
  put.bind(10, row.marks.signed_ms);
  put.bind(11, row.marks.heard_ms);
  put.bind(12, row.marks.trusted_ms);
  put.bind(13, row.generation);
  bind_blob(put, 14, row.key_check);
  put.bind(15, checksum_of(row));
  put.exec();
}

void remove_revocations(SQLite::Database& database) {
  database.exec("DELETE FROM revocations");
  database.exec("DELETE FROM lists");
}

void remove_tokens(SQLite::Database& database) { database.exec("DELETE FROM tokens"); }

void remove_tokens_before(SQLite::Database& database, int64_t generation) {
  SQLite::Statement remove(database, "DELETE FROM tokens WHERE generation < ?");
  remove.bind(1, generation);
  remove.exec();
}

bool remove_ended(SQLite::Database& database, int64_t now_s, size_t rows_max) {
  bool more = remove_step(database,
                          "DELETE FROM revocations WHERE (kind, id) IN "
                          "(SELECT kind, id FROM revocations WHERE until_s < ? LIMIT ?)",
                          now_s, rows_max);
  more |= remove_step(database,
                      "DELETE FROM tokens WHERE id IN "
                      "(SELECT id FROM tokens WHERE until_s < ? LIMIT ?)",
                      now_s, rows_max);
  more |= remove_step(database,
                      "DELETE FROM lists WHERE id IN "
                      "(SELECT id FROM lists WHERE until_s < ? LIMIT ?)",
                      now_s, rows_max);
  return more;
}

// --- writing

RowWriter::RowWriter(SQLite::Database& database, const RecordSeal* seal, int64_t generation,
                     SnapshotLists& lists)
    : seal_(seal),
      generation_(generation),
      lists_(lists),
      find_revocation_(database,
                       "SELECT not_before_s, until_s FROM revocations WHERE kind = ? AND id = ?"),
      put_revocation_(database, "INSERT OR REPLACE INTO revocations VALUES (?, ?, ?, ?, ?)"),
      put_list_(database, "INSERT OR REPLACE INTO lists VALUES (?, ?, ?, ?, ?)"),
      find_token_(database, "SELECT generation FROM tokens WHERE id = ?"),
      put_token_(database, "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?)"),
      remove_token_(database, "DELETE FROM tokens WHERE id = ?"),
      all_lists_(database, "SELECT id FROM lists"),
      remove_list_(database, "DELETE FROM lists WHERE id = ?") {}

void RowWriter::put_part(const feed::Snapshot& part) {
  for (const feed::Event& row : part.rows) put(row, /*is_row=*/true);
  remove_lists_missing(part);
}

void RowWriter::remove_lists_missing(const feed::Snapshot& part) {
  if (part.after && part.after->kind > feed::EventKind::kList) return;
  if (part.last && part.last->kind < feed::EventKind::kList) return;
  std::vector<feed::TokenId> missing;
  all_lists_.reset();
  while (all_lists_.executeStep()) {
    const feed::EventKey key{feed::EventKind::kList, id_of(all_lists_.getColumn(0))};
    const bool is_here = (!part.after || key > *part.after) && (!part.last || key <= *part.last);
    if (is_here && !lists_.newer.contains(key.id) &&
        !std::ranges::binary_search(part.rows, key, {}, feed::key_of))
      missing.push_back(key.id);
  }
  for (const feed::TokenId& id : missing) {
    remove_list_.reset();
    bind_blob(remove_list_, 1, id.view());
    remove_list_.exec();
  }
}

void RowWriter::put(const feed::Event& event, bool is_row) {
  switch (event.kind) {
    case feed::EventKind::kMark:
      return put_revocation(event);
    case feed::EventKind::kDeleted:
      put_revocation(event);
      remove_token_.reset();
      bind_blob(remove_token_, 1, event.id.view());
      remove_token_.exec();
      return;
    case feed::EventKind::kList:
      if (is_row && lists_.newer.contains(event.id)) return;
      if (!is_row && lists_.as_of) lists_.newer.insert(event.id);
      return put_list(event);
    case feed::EventKind::kToken:
      if (seal_) put_token(event, is_row);
      return;
  }
}

void RowWriter::put_revocation(const feed::Event& event) {
  feed::Event kept = event;
  kept.record = {};
  find_revocation_.reset();
  find_revocation_.bind(1, static_cast<int>(event.kind));
  bind_blob(find_revocation_, 2, event.id.view());
  if (find_revocation_.executeStep()) {
    kept.not_before_s = std::max(kept.not_before_s, find_revocation_.getColumn(0).getInt64());
    kept.until_s = std::max(kept.until_s, find_revocation_.getColumn(1).getInt64());
  }
  find_revocation_.reset();
  put_revocation_.reset();
  put_revocation_.bind(1, static_cast<int>(kept.kind));
  bind_blob(put_revocation_, 2, kept.id.view());
  put_revocation_.bind(3, kept.not_before_s);
  put_revocation_.bind(4, kept.until_s);
  put_revocation_.bind(5, checksum_of(kept));
  put_revocation_.exec();
}

void RowWriter::put_list(const feed::Event& event) {
  put_list_.reset();
  bind_blob(put_list_, 1, event.id.view());
  put_list_.bind(2, event.until_s);
  put_list_.bind(3, static_cast<int64_t>(event.bits));
  bind_blob(put_list_, 4, event.list);
  put_list_.bind(5, checksum_of(event));
  put_list_.exec();
}

void RowWriter::put_token(const feed::Event& event, bool is_row) {
  find_revocation_.reset();
  find_revocation_.bind(1, static_cast<int>(feed::EventKind::kDeleted));
  bind_blob(find_revocation_, 2, event.id.view());
  const bool is_deleted = find_revocation_.executeStep();
  find_revocation_.reset();
  if (is_deleted) return;
  if (is_row) {
    find_token_.reset();
    bind_blob(find_token_, 1, event.id.view());
    const bool is_newer =
        find_token_.executeStep() && find_token_.getColumn(0).getInt64() >= generation_;
    find_token_.reset();
    if (is_newer) return;
  }
  put_token_.reset();
  bind_blob(put_token_, 1, event.id.view());
  put_token_.bind(2, event.record.exp_s);
  put_token_.bind(3, generation_);
  bind_blob(put_token_, 4, seal_->seal(feed::encode_record(event.record), seal_context(event.id)));
  put_token_.exec();
}

// --- reading

void load_rows(SQLite::Database& database, const RecordSeal* seal, const EventVisitor& visit) {
  Steps steps(visit);
  SQLite::Statement lists(database, "SELECT id, until_s, bits, list, checksum FROM lists");
  while (lists.executeStep()) steps.add(list_of(lists));
  SQLite::Statement revocations(
      database, "SELECT kind, id, not_before_s, until_s, checksum FROM revocations");
  while (revocations.executeStep()) steps.add(revocation_of(revocations));
  if (seal) {
    SQLite::Statement tokens(database, "SELECT id, record FROM tokens");
    while (tokens.executeStep()) steps.add(token_of(tokens, *seal));
  }
  steps.flush();
}

}  // namespace notp::lane
