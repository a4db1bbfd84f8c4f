#include "notp-client/txn/grants/grant_rows.hpp"

#include <fmt/format.h>

#include "common/storage/sqlite_values.hpp"
#include "notp-client/txn/issue/members.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {
namespace {

constexpr int kFormat = 2;
// `answer`: the claims of the token that a use issued; NULL once it is not given again.
constexpr const char* kSchema = R"(
CREATE TABLE grants (
  id TEXT PRIMARY KEY,
  parent_txn TEXT NOT NULL,
  sub TEXT NOT NULL,
  scope TEXT NOT NULL,
  assignee TEXT NOT NULL,
  origin TEXT NOT NULL,
  chain TEXT NOT NULL,
  maker TEXT NOT NULL,
  made_ms INTEGER NOT NULL,
  not_after_ms INTEGER NOT NULL,
  uses INTEGER NOT NULL,
  used INTEGER NOT NULL,
  digest BLOB,
  subject TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  txns TEXT NOT NULL DEFAULT '[]',
  revoked_ms INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_parent_txn ON grants (parent_txn);
CREATE INDEX grants_not_after ON grants (not_after_ms);
CREATE INDEX grants_maker ON grants (maker);
CREATE INDEX grants_revoked ON grants (revoked_ms) WHERE revoked_ms > 0;
CREATE TABLE uses (
  grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
  peer TEXT NOT NULL,
  jti TEXT NOT NULL,
  request BLOB NOT NULL,
  used_ms INTEGER NOT NULL,
  txn TEXT NOT NULL,
  exp_ms INTEGER NOT NULL,
  answer TEXT,
  passed_on TEXT NOT NULL,
  PRIMARY KEY (grant_id, peer, jti)
) STRICT, WITHOUT ROWID;
CREATE INDEX uses_answered ON uses (used_ms) WHERE answer IS NOT NULL;
)";

// Format 1 had the first and the last transaction of a chain. Those between are in the uses by
// which grants were passed on, which are kept as long as what came of them.
constexpr const char* kFrom1To2 = R"(
ALTER TABLE grants ADD COLUMN txns TEXT NOT NULL DEFAULT '[]';
ALTER TABLE grants ADD COLUMN revoked_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX uses_txn ON uses (txn);
UPDATE grants SET txns = json_array(parent_txn) WHERE json_array_length(chain) = 1;
)";
// The parents' are there already.
constexpr const char* kTxnsOfDepth = R"(
UPDATE grants SET txns = json_insert(
  coalesce((SELECT parent.txns FROM uses JOIN grants AS parent ON parent.id = uses.grant_id
            WHERE uses.txn = grants.parent_txn), json_array(root_txn)),
  '$[#]', parent_txn)
WHERE json_array_length(chain) = {};
)";
constexpr const char* kFrom1To2End = R"(
DROP INDEX uses_txn;
ALTER TABLE grants DROP COLUMN root_txn;
CREATE INDEX grants_revoked ON grants (revoked_ms) WHERE revoked_ms > 0;
)";

void migrate_1_to_2(SQLite::Database& database) {
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  database.exec(kFrom1To2);
  for (unsigned depth = 2; depth <= limits::kTxnGrantDepthMax; ++depth)
    database.exec(fmt::format(fmt::runtime(kTxnsOfDepth), depth));
  database.exec(kFrom1To2End);
  database.exec(fmt::format("PRAGMA user_version = {}", kFormat));
  transaction.commit();
}

constexpr const char* kColumns =
    "id, sub, scope, assignee, origin, chain, made_ms, not_after_ms, uses, used, digest, subject, "
    "subject_id, txns";

// Those that can be used: a revoked one is kept to be revoked again.
std::string select_grants(std::string_view where) {
  return fmt::format("SELECT {} FROM grants WHERE revoked_ms = 0 AND {}", kColumns, where);
}

[[noreturn]] void damaged(std::string_view what) {
  refuse(ErrorCode::kCorrupt, fmt::format("a row of the grants is damaged: {}", what));
}

json::object object_of(const SQLite::Column& column) {
  auto parsed = parse_json(column.getString());
  if (!parsed || !parsed->is_object()) damaged(column.getName());
  return std::move(parsed->get_object());
}

std::vector<std::string> texts_of(const SQLite::Column& column) {
  const auto parsed = parse_json(column.getString());
  if (!parsed || !parsed->is_array() || parsed->get_array().empty()) damaged(column.getName());
  std::vector<std::string> out;
  for (const json::value& text : parsed->get_array()) {
    if (!text.is_string()) damaged(column.getName());
    out.emplace_back(text.get_string());
  }
  return out;
}

Hash hash_of(const SQLite::Column& column) {
  const auto hash = Hash::from_bytes(blob_of(column));
  if (!hash) damaged(column.getName());
  return *hash;
}

Grant grant_of(SQLite::Statement& row) {
  Grant out;
  out.id = row.getColumn(0).getString();
  out.sub = row.getColumn(1).getString();
  auto scopes = read_scopes(row.getColumn(2).getString());
  if (!scopes) damaged("scope");
  out.scopes = *std::move(scopes);
  out.to = row.getColumn(3).getString();
  out.origin = row.getColumn(4).getString();
  out.chain = texts_of(row.getColumn(5));
  out.made_ms = row.getColumn(6).getInt64();
  out.not_after_ms = row.getColumn(7).getInt64();
  out.uses = row.getColumn(8).getUInt();
  out.used = row.getColumn(9).getUInt();
  if (!row.getColumn(10).isNull()) out.digest = hash_of(row.getColumn(10));
  out.subject = object_of(row.getColumn(11));
  out.subject_id = row.getColumn(12).getString();
  out.txns = texts_of(row.getColumn(13));
  return out;
}

// SQLiteCpp keeps bindings and a read position: each use of a statement begins with it.
template <typename... Values>
SQLite::Statement& bound(SQLite::Statement& statement, const Values&... values) {
  statement.reset();
  statement.clearBindings();
  int at = 0;
  (statement.bind(++at, values), ...);
  return statement;
}

// The first column of all its rows.
std::vector<std::string> texts(SQLite::Statement& statement) {
  std::vector<std::string> out;
  while (statement.executeStep()) out.push_back(statement.getColumn(0).getString());
  statement.reset();
  return out;
}

}  // namespace

void make_grant_tables(SQLite::Database& database) {
  if (database.execAndGet("PRAGMA user_version").getInt() == 1) return migrate_1_to_2(database);
  make_tables(database, "the database of grants", kFormat, kSchema);
}

GrantRows::GrantRows(SQLite::Database& database)
    : find_(database, select_grants("id = ?")),
      find_use_(database,
                "SELECT request, used_ms, answer, passed_on FROM uses WHERE grant_id = ? AND peer "
                "= ? AND jti = ?"),
      put_(database,
           "INSERT INTO grants (id, parent_txn, sub, scope, assignee, origin, chain, maker, "
           "made_ms, not_after_ms, uses, used, digest, subject, subject_id, txns) VALUES (?, ?, ?, "
           "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      put_use_(database, "INSERT INTO uses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      count_use_(database, "UPDATE grants SET used = used + 1 WHERE id = ? AND used < uses"),
      page_(database, select_grants("id >= ? ORDER BY id LIMIT ?")),
      ids_(database, "SELECT id FROM grants WHERE id = ?"),
      of_token_(database, "SELECT id FROM grants WHERE parent_txn = ?"),
      // A token may be replaced by others of its transaction, as long as both allow.
      txns_(database, fmt::format("SELECT uses.txn, min(not_after_ms, max(exp_ms, used_ms + {})) "
                                  "FROM uses JOIN grants ON id = grant_id WHERE grant_id = ?",
                                  limits::kTxnReplacedLifeMsMax)),
      revoke_(database,
              "UPDATE grants SET revoked_ms = ? WHERE id = ? AND revoked_ms = 0 RETURNING maker"),
      remove_(database,
              "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE not_after_ms <= ?1 OR "
              "(revoked_ms > 0 AND revoked_ms <= ?2) LIMIT ?3) RETURNING maker, revoked_ms"),
      forget_(database,
              "UPDATE uses SET answer = NULL WHERE (grant_id, peer, jti) IN (SELECT grant_id, "
              "peer, jti FROM uses WHERE answer IS NOT NULL AND used_ms <= ? LIMIT ?)"),
      count_(database, "SELECT maker, count(*) FROM grants WHERE revoked_ms = 0 GROUP BY maker") {}

std::optional<Grant> GrantRows::find(std::string_view id) {
  if (!bound(find_, std::string(id)).executeStep()) return std::nullopt;
  Grant grant = grant_of(find_);
  find_.reset();
  return grant;
}

std::optional<EarlierUse> GrantRows::find_use(std::string_view id, std::string_view peer,
                                              std::string_view jti) {
  if (!bound(find_use_, std::string(id), std::string(peer), std::string(jti)).executeStep())
    return std::nullopt;
  EarlierUse use;
  use.request = hash_of(find_use_.getColumn(0));
  use.used_ms = find_use_.getColumn(1).getInt64();
  if (!find_use_.getColumn(2).isNull()) use.token.claims = object_of(find_use_.getColumn(2));
  use.token.grant_id = find_use_.getColumn(3).getString();
  find_use_.reset();
  return use;
}

void GrantRows::put(const Grant& grant) {
  bound(put_, grant.id, grant.parent_txn(), grant.sub, join_scopes(grant.scopes), grant.to,
        grant.origin, json::serialize(json_texts(grant.chain)), grant.made_by(), grant.made_ms,
        grant.not_after_ms, grant.uses, grant.used);
  if (grant.digest) bind_blob(put_, 13, grant.digest->view());
  put_.bind(14, json::serialize(grant.subject));
  put_.bind(15, grant.subject_id);
  put_.bind(16, json::serialize(json_texts(grant.txns)));
  put_.exec();
}

void GrantRows::mark(const GrantUse& use, TimeMs now_ms) {
  if (bound(count_use_, use.grant_id).exec() != 1) damaged("used");
  bound(put_use_, use.grant_id, use.peer, use.jti);
  bind_blob(put_use_, 4, use.request.view());
  put_use_.bind(5, now_ms);
  put_use_.bind(6, use.txn);
  put_use_.bind(7, expiry_of(use.claims));
  put_use_.bind(8, json::serialize(use.claims));
  put_use_.bind(9, use.passed_on ? use.passed_on->id : std::string());
  put_use_.exec();
}

std::vector<Grant> GrantRows::page(std::string_view from, size_t max) {
  std::vector<Grant> out;
  bound(page_, std::string(from), static_cast<int64_t>(max));
  while (page_.executeStep()) out.push_back(grant_of(page_));
  page_.reset();
  return out;
}

std::vector<std::string> GrantRows::with_id(std::string_view id) {
  return texts(bound(ids_, std::string(id)));
}

std::vector<std::string> GrantRows::made_by_token(std::string_view txn) {
  return texts(bound(of_token_, std::string(txn)));
}

GrantRows::Revoked GrantRows::revoke_tree(std::vector<std::string> ids, TimeMs now_ms) {
  Revoked out;
  while (!ids.empty()) {
    const std::string id = std::move(ids.back());
    ids.pop_back();
    std::vector<std::string> txns;
    bound(txns_, id);
    while (txns_.executeStep()) {
      txns.push_back(txns_.getColumn(0).getString());
      if (txns_.getColumn(1).getInt64() + limits::kTxnSkewMs > now_ms) out.txns.insert(txns.back());
    }
    txns_.reset();
    for (const std::string& txn : txns)
      for (std::string& child : made_by_token(txn)) ids.push_back(std::move(child));
    for (std::string& maker : texts(bound(revoke_, now_ms, id)))
      out.makers.push_back(std::move(maker));
  }
  return out;
}

GrantRows::Removed GrantRows::remove_ended(TimeMs ended_ms, TimeMs revoked_ms, size_t max) {
  Removed out;
  bound(remove_, ended_ms, revoked_ms, static_cast<int64_t>(max));
  while (remove_.executeStep()) {
    ++out.rows;
    if (remove_.getColumn(1).getInt64() == 0)
      out.makers.push_back(remove_.getColumn(0).getString());
  }
  remove_.reset();
  return out;
}

size_t GrantRows::forget_answers(TimeMs used_ms, size_t max) {
  return static_cast<size_t>(bound(forget_, used_ms, static_cast<int64_t>(max)).exec());
}

std::unordered_map<std::string, size_t> GrantRows::count_by_maker() {
  std::unordered_map<std::string, size_t> out;
  count_.reset();
  while (count_.executeStep())
    out[count_.getColumn(0).getString()] = static_cast<size_t>(count_.getColumn(1).getInt64());
  count_.reset();
  return out;
}

}  // namespace notp::txn
