#include "notp-client/spool/segment_table.hpp"

#include <fmt/format.h>

#include "common/storage/sqlite_attempt.hpp"
#include "notp-client/spool/table_columns.hpp"

namespace notp::spool {
namespace {

constexpr int kSchemaVersion = 2;
// Of one transaction that removes segments, so that a seal does not wait long for it.
constexpr size_t kRemovedAtOnce = 64;
// Free pages that the next segments will use; more are given back to the disk, some at a time.
constexpr uint64_t kFreeBytesKept = 64ULL << 20, kFreeBytesStep = 8ULL << 20;

constexpr const char* kSchema = R"(
CREATE TABLE log (
  id INTEGER PRIMARY KEY CHECK (id = 1), key TEXT NOT NULL, trust_domain TEXT NOT NULL,
  node TEXT NOT NULL, created_ms INTEGER NOT NULL, previous BLOB, reason TEXT NOT NULL,
  announcement BLOB NOT NULL, run INTEGER NOT NULL, tree BLOB NOT NULL, kept BLOB NOT NULL,
  ring INTEGER NOT NULL, ring_offset INTEGER NOT NULL, ring_position INTEGER NOT NULL,
  ring_check INTEGER NOT NULL, ended INTEGER NOT NULL, acknowledged INTEGER NOT NULL,
  lost INTEGER NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE segments (
  first INTEGER PRIMARY KEY, count INTEGER NOT NULL, content_bytes INTEGER NOT NULL,
  secret BLOB NOT NULL, checkpoint TEXT NOT NULL, subtrees BLOB NOT NULL,
  body_bytes INTEGER NOT NULL, oldest_ms INTEGER NOT NULL, sealed_ms INTEGER NOT NULL,
  gaps INTEGER NOT NULL);
CREATE TABLE bodies (first INTEGER PRIMARY KEY REFERENCES segments, body BLOB NOT NULL);
CREATE TABLE ending (id INTEGER PRIMARY KEY CHECK (id = 1), reason TEXT NOT NULL);
)";
constexpr const char* kRowColumns =
    "first, count, content_bytes, secret, checkpoint, subtrees, body_bytes, oldest_ms, sealed_ms, "
    "gaps";

Bytes join(const std::vector<Hash>& hashes) {
  Bytes out;
  for (const Hash& hash : hashes) out.append(hash.view());
  return out;
}

std::vector<Hash> split(ByteView bytes) {
  if (bytes.size() % Hash::kSize != 0) refuse_damaged("a list of hashes");
  std::vector<Hash> out;
  for (; !bytes.empty(); bytes.remove_prefix(Hash::kSize))
    out.push_back(Hash::from_bytes(bytes.substr(0, Hash::kSize)).value());
  return out;
}

record::Frontier frontier_of(const SQLite::Column& column) {
  auto tree = record::Frontier::decode(bytes_of(column));
  if (!tree) refuse_damaged("the tree of the log");
  return *std::move(tree);
}

// Detects damage, not an attacker, who could compute it as well.
Bytes checksum_of(const LogState& state) {
  Bytes row;
  const auto put = [&](ByteView text) {
    put_varint(row, text.size());
    row.append(text);
  };
  put(state.key_pem);
  put(state.trust_domain);
  put(state.node);
  put(state.previous ? state.previous->view() : ByteView());
  put(state.reason);
  put(state.announcement);
  put(state.tree.encode());
  put(state.kept.encode());
  for (const uint64_t value :
       {static_cast<uint64_t>(state.created_ms), uint64_t{state.run}, state.live.ring,
        state.live.offset, state.live.position, state.live.check, uint64_t{state.ended},
        state.acknowledged, state.lost})
    put_varint(row, value);
  return Bytes(Sha256().update("notp.spool.v2\0").update(row).finish().view().substr(0, 16));
}

LogState state_of(SQLite::Statement& row) {
  LogState state;
  state.key_pem = row.getColumn(0).getString();
  state.trust_domain = row.getColumn(1).getString();
  state.node = row.getColumn(2).getString();
  state.created_ms = row.getColumn(3).getInt64();
  if (!row.getColumn(4).isNull()) {
    const auto previous = record::LogId::from_bytes(bytes_of(row.getColumn(4)));
    if (!previous) refuse_damaged("the id of the log before");
    state.previous = *previous;
  }
  state.reason = row.getColumn(5).getString();
  state.announcement = bytes_of(row.getColumn(6));
  state.run = static_cast<uint32_t>(number(row.getColumn(7)));
  state.tree = frontier_of(row.getColumn(8));
  state.kept = frontier_of(row.getColumn(9));
  state.live = {number(row.getColumn(10)), number(row.getColumn(11)), number(row.getColumn(12)),
                number(row.getColumn(13))};
  state.ended = row.getColumn(14).getInt() != 0;
  state.acknowledged = number(row.getColumn(15));
  state.lost = number(row.getColumn(16));
  if (bytes_of(row.getColumn(17)) != checksum_of(state)) refuse_damaged("the row of the log");
  return state;
}

SegmentRow row_of(SQLite::Statement& query, const record::LogId& log) {
  SegmentRow row;
  row.head.log = log;
  row.head.first = number(query.getColumn(0));
  row.head.count = static_cast<uint32_t>(number(query.getColumn(1)));
  row.head.content_bytes = number(query.getColumn(2));
  row.head.secret = bytes_of(query.getColumn(3));
  row.head.checkpoint = query.getColumn(4).getString();
  row.subtrees = split(bytes_of(query.getColumn(5)));
  row.body_bytes = number(query.getColumn(6));
  row.oldest_ms = query.getColumn(7).getInt64();
  row.sealed_ms = query.getColumn(8).getInt64();
  row.gaps = static_cast<uint32_t>(number(query.getColumn(9)));
  return row;
}

record::LogId id_of(const std::string& key_pem) {
  auto key = PrivateKey::from_pem(key_pem);
  if (!key) refuse_damaged("the key of the log");
  return record::LogId::of(key->public_key());
}

record::LogId log_id(SQLite::Database& database) {
  return id_of(database.execAndGet("SELECT key FROM log").getString());
}

// The last segment's signed root covers the tree, and so all that the next one builds on.
void check_tree(SQLite::Database& database, const LogState& state) {
  SQLite::Statement query(database, fmt::format("SELECT {} FROM segments ORDER BY first DESC "
                                                "LIMIT 1",
                                                kRowColumns));
  if (!query.executeStep()) {
    if (state.tree.size() != 0) refuse_damaged("the list of segments");
    return;
  }
  const auto key = PrivateKey::from_pem(state.key_pem);
  if (!key) refuse_damaged("the key of the log");
  const SegmentRow last = row_of(query, record::LogId::of(key->public_key()));
  const auto checkpoint = record::verify_checkpoint(last.head.checkpoint, key->public_key());
  if (!checkpoint || checkpoint->size != state.tree.size() ||
      checkpoint->root != state.tree.root() || last.head.end() != state.tree.size() ||
      state.live.position != state.tree.size())
    refuse_damaged("the tree of the log, or its last segment,");
}

void put_state(SQLite::Database& database, const LogState& state) {
  SQLite::Statement put(database,
                        "REPLACE INTO log VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                        "?, ?, ?)");
  const Bytes tree = state.tree.encode(), kept = state.kept.encode();
  const Bytes checksum = checksum_of(state);
  put.bind(1, state.key_pem);
  put.bind(2, state.trust_domain);
  put.bind(3, state.node);
  put.bind(4, state.created_ms);
  if (state.previous) bind_bytes(put, 5, state.previous->view());
  put.bind(6, state.reason);
  bind_bytes(put, 7, state.announcement);
  put.bind(8, state.run);
  bind_bytes(put, 9, tree);
  bind_bytes(put, 10, kept);
  put.bind(11, signed_of(state.live.ring));
  put.bind(12, signed_of(state.live.offset));
  put.bind(13, signed_of(state.live.position));
  put.bind(14, signed_of(state.live.check));
  put.bind(15, state.ended ? 1 : 0);
  put.bind(16, signed_of(state.acknowledged));
  put.bind(17, signed_of(state.lost));
  bind_bytes(put, 18, checksum);
  put.exec();
}

void remove_segment(SQLite::Database& database, const SegmentRow& row, LogState& state) {
  if (row.head.first != state.kept.size() || !state.kept.extend(row.head.count, row.subtrees))
    refuse_damaged(fmt::format("the segment at position {}", row.head.first));
  // A receipt of it may still come.
  put_root(database, row.head.end(), state.kept.root());
  for (const char* sql :
       {"DELETE FROM bodies WHERE first = ?", "DELETE FROM segments WHERE first = ?"}) {
    SQLite::Statement change(database, sql);
    change.bind(1, signed_of(row.head.first));
    change.exec();
  }
}

// Of those from `from` on; first without gap records.
std::optional<SegmentRow> oldest_body(SQLite::Database& database, record::Position from) {
  for (const char* which : {"gaps = 0", "gaps > 0"}) {
    SQLite::Statement oldest(database,
                             fmt::format("SELECT {} FROM segments WHERE first >= ? AND body_bytes "
                                         "> 0 AND {} ORDER BY first LIMIT 1",
                                         kRowColumns, which));
    oldest.bind(1, signed_of(from));
    if (oldest.executeStep()) return row_of(oldest, {});
  }
  return std::nullopt;
}

void shrink(SQLite::Database& database) {
  const uint64_t free = number(database.execAndGet("PRAGMA freelist_count"));
  if (free * kDatabasePageBytes <= kFreeBytesKept) return;
  SQLite::Statement step(
      database, fmt::format("PRAGMA incremental_vacuum({})", kFreeBytesStep / kDatabasePageBytes));
  while (step.executeStep()) continue;
}

}  // namespace

Result<std::unique_ptr<SegmentTable>> SegmentTable::open(const std::filesystem::path& file) {
  NOTP_ASSIGN(auto database, open_database(file, {.can_shrink = true}));
  NOTP_TRY(attempt(fmt::format("cannot open {}", file.string()), [&] {
    const int version = database->execAndGet("PRAGMA user_version").getInt();
    // They came later, and a program that does not know them is not disturbed.
    if (version == kSchemaVersion) return make_receipt_tables(*database);
    if (database->tableExists("log")) {
      if (version == 0) refuse_damaged("the number of its format");
      refuse(ErrorCode::kConfig,
             fmt::format("its format is {}, this program reads {}, and has changed "
                         "nothing: let the program that wrote it ship its records, or "
                         "keep the folder elsewhere and begin with an empty one",
                         version, kSchemaVersion));
    }
    SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
    database->exec(kSchema);
    make_receipt_tables(*database);
    database->exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
    transaction.commit();
  }));
  return std::unique_ptr<SegmentTable>(new SegmentTable(std::move(database)));
}

Result<std::unique_ptr<SegmentTable>> SegmentTable::open_to_read(
    const std::filesystem::path& file) {
  NOTP_ASSIGN(auto database, open_database_to_read(file));
  NOTP_TRY(attempt(fmt::format("cannot read {}", file.string()), [&] {
    const int version = database->execAndGet("PRAGMA user_version").getInt();
    if (version != kSchemaVersion)
      refuse(ErrorCode::kConfig,
             fmt::format("its format is {}, this program reads {}", version, kSchemaVersion));
  }));
  return std::unique_ptr<SegmentTable>(new SegmentTable(std::move(database)));
}

Result<std::optional<LogState>> SegmentTable::load() {
  const MutexLock lock(mutex_);
  return attempt("cannot read the state of the log", [&]() -> std::optional<LogState> {
    SQLite::Statement row(*database_,
                          "SELECT key, trust_domain, node, created_ms, previous, reason, "
                          "announcement, run, tree, kept, ring, ring_offset, ring_position, "
                          "ring_check, ended, acknowledged, lost, checksum FROM log");
    if (!row.executeStep()) return std::nullopt;
    LogState state = state_of(row);
    check_tree(*database_, state);
    return state;
  });
}

Result<void> SegmentTable::save(const LogState& state) {
  const MutexLock lock(mutex_);
  return attempt("cannot save the state of the log", [&] { put_state(*database_, state); });
}

Result<void> SegmentTable::end(std::string_view reason) {
  const MutexLock lock(mutex_);
  return attempt("cannot save that the log ends", [&] {
    SQLite::Statement put(*database_, "REPLACE INTO ending VALUES (1, ?)");
    put.bind(1, std::string(reason));
    put.exec();
  });
}

Result<std::string> SegmentTable::ending() {
  const MutexLock lock(mutex_);
  return attempt("cannot read whether the log ends", [&]() -> std::string {
    SQLite::Statement row(*database_, "SELECT reason FROM ending");
    return row.executeStep() ? row.getColumn(0).getString() : std::string();
  });
}

Result<void> SegmentTable::add(const SealedSegment& sealed, const LogState& state) {
  const MutexLock lock(mutex_);
  return attempt("cannot store a segment", [&] {
    SQLite::Transaction transaction(*database_, SQLite::TransactionBehavior::IMMEDIATE);
    const record::SegmentHead& head = sealed.segment.head;
    const Bytes subtrees = join(sealed.segment.subtrees);
    SQLite::Statement segment(*database_,
                              "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    segment.bind(1, signed_of(head.first));
    segment.bind(2, head.count);
    segment.bind(3, signed_of(head.content_bytes));
    bind_bytes(segment, 4, head.secret);
    segment.bind(5, head.checkpoint);
    bind_bytes(segment, 6, subtrees);
    segment.bind(7, signed_of(sealed.segment.body.size()));
    segment.bind(8, sealed.oldest_ms);
    segment.bind(9, sealed.sealed_ms);
    segment.bind(10, sealed.gaps);
    segment.exec();
    SQLite::Statement body(*database_, "INSERT INTO bodies VALUES (?, ?)");
    body.bind(1, signed_of(head.first));
    bind_bytes(body, 2, sealed.segment.body);
    body.exec();
    put_state(*database_, state);
    transaction.commit();
  });
}

Result<record::Segment> SegmentTable::segment(record::Position position) {
  record::Segment out;
  uint64_t body_bytes = 0;
  {
    const MutexLock lock(mutex_);
    NOTP_ASSIGN(const bool found, attempt("cannot read a segment", [&] {
                  SQLite::Statement query(
                      *database_,
                      fmt::format("SELECT {} FROM segments WHERE first <= ? ORDER BY first DESC "
                                  "LIMIT 1",
                                  kRowColumns));
                  query.bind(1, signed_of(position));
                  if (!query.executeStep()) return false;
                  SegmentRow row = row_of(query, log_id(*database_));
                  if (row.head.end() <= position) return false;
                  out.head = std::move(row.head);
                  body_bytes = row.body_bytes;
                  if (body_bytes == 0) out.subtrees = std::move(row.subtrees);
                  return true;
                }));
    if (!found)
      return fail(ErrorCode::kNotFound,
                  fmt::format("no segment that is kept holds position {}", position));
  }
  if (body_bytes != 0) {
    NOTP_ASSIGN(out.body, body(out.head.first));
  }
  return out;
}

Result<Bytes> SegmentTable::body(record::Position first) {
  const MutexLock lock(mutex_);
  return attempt(fmt::format("cannot read the records of the segment at {}", first), [&] {
    SQLite::Statement query(*database_, "SELECT body FROM bodies WHERE first = ?");
    query.bind(1, signed_of(first));
    if (!query.executeStep()) refuse_damaged("the list of bodies");
    return bytes_of(query.getColumn(0));
  });
}

Result<TableTotals> SegmentTable::totals(record::Position acknowledged) {
  const MutexLock lock(mutex_);
  return attempt("cannot count the segments", [&] {
    TableTotals out;
    out.first = number(database_->execAndGet("SELECT coalesce(min(first), 0) FROM segments"));
    SQLite::Statement sum(*database_,
                          "SELECT coalesce(sum(body_bytes), 0) FROM segments WHERE first >= ?");
    sum.bind(1, signed_of(acknowledged));
    if (sum.executeStep()) out.unacknowledged_bytes = number(sum.getColumn(0));
    SQLite::Statement oldest(
        *database_, "SELECT oldest_ms FROM segments WHERE first >= ? ORDER BY first LIMIT 1");
    oldest.bind(1, signed_of(acknowledged));
    if (oldest.executeStep()) out.oldest_ms = oldest.getColumn(0).getInt64();
    return out;
  });
}

Result<std::optional<SegmentTable::DroppedBody>> SegmentTable::drop_oldest_body(
    record::Position from) {
  const MutexLock lock(mutex_);
  return attempt("cannot drop a segment's records", [&]() -> std::optional<DroppedBody> {
    SQLite::Transaction transaction(*database_, SQLite::TransactionBehavior::IMMEDIATE);
    const auto oldest = oldest_body(*database_, from);
    if (!oldest) return std::nullopt;
    for (const char* sql : {"DELETE FROM bodies WHERE first = ?",
                            "UPDATE segments SET body_bytes = 0 WHERE first = ?"}) {
      SQLite::Statement change(*database_, sql);
      change.bind(1, signed_of(oldest->head.first));
      change.exec();
    }
    transaction.commit();
    return DroppedBody{oldest->head.count, oldest->gaps, oldest->body_bytes};
  });
}

Result<bool> SegmentTable::remove_acknowledged(LogState& current, const RemovalTerms& terms) {
  const MutexLock lock(mutex_);
  return attempt("cannot remove acknowledged segments", [&] {
    LogState state = current;
    SQLite::Transaction transaction(*database_, SQLite::TransactionBehavior::IMMEDIATE);
    SQLite::Statement sum(*database_,
                          "SELECT coalesce(sum(body_bytes), 0) FROM segments WHERE first < ?");
    sum.bind(1, signed_of(state.acknowledged));
    uint64_t bytes = sum.executeStep() ? number(sum.getColumn(0)) : 0;
    std::vector<SegmentRow> gone;
    SQLite::Statement query(*database_, fmt::format("SELECT {} FROM segments ORDER BY first LIMIT "
                                                    "{}",
                                                    kRowColumns, kRemovedAtOnce));
    const record::LogId log = id_of(state.key_pem);
    while (query.executeStep()) {
      SegmentRow row = row_of(query, log);
      const bool is_acknowledged = row.head.end() <= state.acknowledged;
      const bool is_newest = row.head.end() >= state.tree.size();
      const bool is_evidence = row.head.end() > terms.evidence_from;
      const bool stays = is_evidence
                             ? bytes <= terms.evidence_bytes_max
                             : row.sealed_ms >= terms.sealed_before && bytes <= terms.bytes_max;
      if (!is_acknowledged || is_newest || stays) break;
      bytes -= std::min(bytes, row.body_bytes);
      gone.push_back(std::move(row));
    }
    query.reset();
    for (const SegmentRow& row : gone) remove_segment(*database_, row, state);
    if (!gone.empty()) trim_roots(*database_);
    put_state(*database_, state);
    transaction.commit();
    current = std::move(state);
    if (!gone.empty()) shrink(*database_);
    return gone.size() == kRemovedAtOnce;
  });
}

Result<TreeState> SegmentTable::tree() {
  const MutexLock lock(mutex_);
  return attempt("cannot read what is kept of the registry's tree",
                 [&] { return read_tree(*database_); });
}

Result<void> SegmentTable::keep_tree(const TreeState& state) {
  const MutexLock lock(mutex_);
  return attempt("cannot keep a checkpoint of the registry's tree",
                 [&] { put_tree(*database_, state); });
}

Result<std::vector<PastTree>> SegmentTable::past_trees() {
  const MutexLock lock(mutex_);
  return attempt("cannot read the registry's earlier trees",
                 [&] { return read_past_trees(*database_); });
}

Result<void> SegmentTable::keep_trees(const TreeState& state, const std::vector<PastTree>& past) {
  const MutexLock lock(mutex_);
  return attempt("cannot keep the registry's trees", [&] {
    SQLite::Transaction transaction(*database_, SQLite::TransactionBehavior::IMMEDIATE);
    for (const PastTree& each : past) put_past_tree(*database_, each);
    put_tree(*database_, state);
    transaction.commit();
  });
}

Result<std::optional<OwnCheckpoint>> SegmentTable::checkpoint_at(record::Position size,
                                                                 const PublicKey& key) {
  const MutexLock lock(mutex_);
  return attempt("cannot read a checkpoint of the log", [&]() -> std::optional<OwnCheckpoint> {
    const auto kept = [&]() -> std::optional<OwnCheckpoint> {
      const auto root = find_root(*database_, size);
      return root ? std::optional(OwnCheckpoint{*root, false}) : std::nullopt;
    };
    SQLite::Statement query(*database_,
                            fmt::format("SELECT {} FROM segments WHERE first < ? ORDER BY first "
                                        "DESC LIMIT 1",
                                        kRowColumns));
    query.bind(1, signed_of(size));
    if (!query.executeStep()) return kept();
    const SegmentRow row = row_of(query, {});
    if (row.head.end() != size) return kept();
    const auto checkpoint = record::verify_checkpoint(row.head.checkpoint, key);
    if (!checkpoint || checkpoint->size != size)
      refuse_damaged(fmt::format("the checkpoint at {} records", size));
    return OwnCheckpoint{checkpoint->root, row.body_bytes > 0};
  });
}

Result<void> SegmentTable::for_each(const std::function<bool(const SegmentRow&)>& use) {
  // Row by row, so that the callback may ask for the body.
  record::Position next = 0;
  for (bool go_on = true; go_on;) {
    std::optional<SegmentRow> row;
    {
      const MutexLock lock(mutex_);
      NOTP_TRY(attempt("cannot read the list of segments", [&] {
        SQLite::Statement query(*database_,
                                fmt::format("SELECT {} FROM segments WHERE first >= ? ORDER BY "
                                            "first LIMIT 1",
                                            kRowColumns));
        query.bind(1, signed_of(next));
        if (query.executeStep()) row = row_of(query, log_id(*database_));
      }));
    }
    if (!row) return {};
    next = row->head.first + 1;
    go_on = use(*row);
  }
  return {};
}

}  // namespace notp::spool
