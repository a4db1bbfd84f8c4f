#include "notp-client/spool/receipt_rows.hpp"

#include "notp-client/spool/table_columns.hpp"

namespace notp::spool {
namespace {

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS tree (
  id INTEGER PRIMARY KEY CHECK (id = 1), announcement BLOB NOT NULL, checkpoint TEXT NOT NULL,
  log BLOB NOT NULL, size INTEGER NOT NULL, leaf INTEGER NOT NULL, time_ms INTEGER NOT NULL,
  accepted BLOB, refused_ms INTEGER, refused TEXT NOT NULL, refused_note TEXT NOT NULL,
  refused_tree BLOB NOT NULL, refused_announcement BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS past_trees (
  id INTEGER PRIMARY KEY, announcement BLOB NOT NULL, checkpoint TEXT NOT NULL,
  until_ms INTEGER NOT NULL, message TEXT NOT NULL, contradiction TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS roots (size INTEGER PRIMARY KEY, root BLOB NOT NULL);
)";

// Detects damage, not an attacker, who could compute it as well.
Bytes checksum_of(const TreeState& state) {
  const TreeRefusal refusal = state.refusal.value_or(TreeRefusal());
  Bytes row;
  for (const ByteView text :
       {ByteView(state.announcement), ByteView(state.checkpoint), state.log.view(),
        state.accepted ? state.accepted->view() : ByteView(), ByteView(refusal.message),
        ByteView(refusal.note), refusal.tree.view(), ByteView(refusal.announcement)}) {
    put_varint(row, text.size());
    row.append(text);
  }
  for (const uint64_t value :
       {state.size, state.index, static_cast<uint64_t>(state.time_ms),
        uint64_t{state.refusal.has_value()}, static_cast<uint64_t>(refusal.time_ms)})
    put_varint(row, value);
  return Bytes(Sha256().update("notp.spool.tree.v1\0").update(row).finish().view().substr(0, 16));
}

record::LogId id_in(const SQLite::Column& column) {
  const auto id = record::LogId::from_bytes(bytes_of(column));
  if (!id) refuse_damaged("the row of the registry's tree");
  return *id;
}

}  // namespace

void make_receipt_tables(SQLite::Database& database) { database.exec(kSchema); }

TreeState read_tree(SQLite::Database& database) {
  if (!database.tableExists("tree")) return {};
  SQLite::Statement row(database,
                        "SELECT announcement, checkpoint, log, size, leaf, time_ms, accepted, "
                        "refused_ms, refused, refused_note, refused_tree, refused_announcement, "
                        "checksum FROM tree");
  if (!row.executeStep()) return {};
  TreeState state;
  state.announcement = bytes_of(row.getColumn(0));
  state.checkpoint = row.getColumn(1).getString();
  state.log = id_in(row.getColumn(2));
  state.size = number(row.getColumn(3));
  state.index = number(row.getColumn(4));
  state.time_ms = row.getColumn(5).getInt64();
  if (!row.getColumn(6).isNull()) state.accepted = id_in(row.getColumn(6));
  if (!row.getColumn(7).isNull())
    state.refusal = TreeRefusal{row.getColumn(7).getInt64(), row.getColumn(8).getString(),
                                row.getColumn(9).getString(), id_in(row.getColumn(10)),
                                bytes_of(row.getColumn(11))};
  if (bytes_of(row.getColumn(12)) != checksum_of(state))
    refuse_damaged("the row of the registry's tree");
  return state;
}

void put_tree(SQLite::Database& database, const TreeState& state) {
  const TreeRefusal refusal = state.refusal.value_or(TreeRefusal());
  const Bytes checksum = checksum_of(state);
  SQLite::Statement put(database,
                        "REPLACE INTO tree VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  bind_bytes(put, 1, state.announcement);
  put.bind(2, state.checkpoint);
  bind_bytes(put, 3, state.log.view());
  put.bind(4, signed_of(state.size));
  put.bind(5, signed_of(state.index));
  put.bind(6, state.time_ms);
  if (state.accepted) bind_bytes(put, 7, state.accepted->view());
  if (state.refusal) put.bind(8, refusal.time_ms);
  put.bind(9, refusal.message);
  put.bind(10, refusal.note);
  bind_bytes(put, 11, refusal.tree.view());
  bind_bytes(put, 12, refusal.announcement);
  bind_bytes(put, 13, checksum);
  put.exec();
}

std::vector<PastTree> read_past_trees(SQLite::Database& database) {
  std::vector<PastTree> out;
  if (!database.tableExists("past_trees")) return out;
  SQLite::Statement rows(database,
                         "SELECT announcement, checkpoint, until_ms, message, contradiction FROM "
                         "past_trees ORDER BY id");
  while (rows.executeStep())
    out.push_back({bytes_of(rows.getColumn(0)), rows.getColumn(1).getString(),
                   rows.getColumn(2).getInt64(), rows.getColumn(3).getString(),
                   rows.getColumn(4).getString()});
  return out;
}

void put_past_tree(SQLite::Database& database, const PastTree& tree) {
  SQLite::Statement put(database, "INSERT INTO past_trees VALUES (NULL, ?, ?, ?, ?, ?)");
  bind_bytes(put, 1, tree.announcement);
  put.bind(2, tree.checkpoint);
  put.bind(3, tree.until_ms);
  put.bind(4, tree.message);
  put.bind(5, tree.contradiction);
  put.exec();
}

void put_root(SQLite::Database& database, record::Position size, const Hash& root) {
  SQLite::Statement put(database, "REPLACE INTO roots VALUES (?, ?)");
  put.bind(1, signed_of(size));
  bind_bytes(put, 2, root.view());
  put.exec();
}

std::optional<Hash> find_root(SQLite::Database& database, record::Position size) {
  if (!database.tableExists("roots")) return std::nullopt;
  SQLite::Statement row(database, "SELECT root FROM roots WHERE size = ?");
  row.bind(1, signed_of(size));
  if (!row.executeStep()) return std::nullopt;
  const auto root = Hash::from_bytes(bytes_of(row.getColumn(0)));
  if (!root) refuse_damaged("the list of roots");
  return *root;
}

void trim_roots(SQLite::Database& database) {
  SQLite::Statement trim(database,
                         "DELETE FROM roots WHERE size <= (SELECT size FROM roots ORDER BY size "
                         "DESC LIMIT 1 OFFSET ?)");
  trim.bind(1, signed_of(kRootsKept));
  trim.exec();
}

}  // namespace notp::spool
