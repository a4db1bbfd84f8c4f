#include "notp-server/enroll/join_tokens.hpp"

#include <SQLiteCpp/VariadicBind.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sqlite3.h>

#include <cstring>

#include "common/limits.hpp"
#include "common/storage/sqlite.hpp"
#include "notp-server/enroll/identity_limits.hpp"

namespace notp::enroll {
namespace {

constexpr int kSchemaVersion = 2;
constexpr const char* kTokens = R"(
CREATE TABLE IF NOT EXISTS tokens (
  secret BLOB PRIMARY KEY,
  node TEXT NOT NULL,
  issuer TEXT NOT NULL,
  expires_ms INTEGER NOT NULL,
  used_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)";
// Version 2: the key that used a token, and the resulting certificate; keys of nodes.
constexpr const char* kKeys = R"(
ALTER TABLE tokens ADD COLUMN replaces INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN key BLOB;
ALTER TABLE tokens ADD COLUMN certificate TEXT;
CREATE TABLE nodes (
  node TEXT PRIMARY KEY,
  key BLOB NOT NULL,
  former BLOB,
  is_bound INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)";

void prepare(SQLite::Database& database) {
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  if (version < 0 || version > kSchemaVersion)
    throw SQLite::Exception(fmt::format("the join tokens have format {}, this program reads {}",
                                        version, kSchemaVersion),
                            SQLITE_NOTADB);
  if (version == kSchemaVersion) return;
  SQLite::Transaction transaction(database);
  database.exec(kTokens);
  database.exec(kKeys);
  database.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.commit();
}

void bind_hash(SQLite::Statement& statement, int index, const Hash& hash) {
  if (hash.is_zero())
    statement.bind(index);
  else
    statement.bind(index, hash.bytes.data(), static_cast<int>(hash.bytes.size()));
}

Hash hash_in(const SQLite::Column& column) {
  Hash out;
  if (column.getBytes() == static_cast<int>(Hash::kSize))
    std::memcpy(out.bytes.data(), column.getBlob(), Hash::kSize);
  return out;
}

struct Found {
  JoinTokens::Used token;
  bool replaces = false;
  bool is_used = false;
  Hash key;  // that used it
};

// kJoinRefused with the token's defect.
Result<Found> find(SQLite::Database& database, const Hash& secret, TimeMs now_ms) {
  SQLite::Statement row(database,
                        "SELECT secret, node, issuer, expires_ms, used_ms, replaces, key, "
                        "certificate FROM tokens WHERE secret = ?");
  row.bind(1, secret.bytes.data(), static_cast<int>(secret.bytes.size()));
  // The index compares hashes, whose order reveals nothing about secrets; equality is checked here,
  // in constant time.
  if (!row.executeStep() || row.getColumn(0).getBytes() != static_cast<int>(Hash::kSize) ||
      CRYPTO_memcmp(row.getColumn(0).getBlob(), secret.bytes.data(), Hash::kSize) != 0)
    return fail(ErrorCode::kJoinRefused, "the join token is unknown");
  Found out;
  out.token.node = row.getColumn(1).getString();
  out.token.issuer = row.getColumn(2).getString();
  if (row.getColumn(3).getInt64() <= now_ms)
    return fail(ErrorCode::kJoinRefused,
                fmt::format("the join token of {} has expired", out.token.node));
  out.is_used = row.getColumn(4).getInt64() != 0;
  out.replaces = row.getColumn(5).getInt() != 0;
  out.key = hash_in(row.getColumn(6));
  out.token.certificate = row.getColumn(7).getString();
  return out;
}

void mark_used(SQLite::Database& database, const Hash& secret, const Hash& key,
               const std::string& certificate, TimeMs now_ms) {
  SQLite::Statement mark(
      database, "UPDATE tokens SET used_ms = ?, key = ?, certificate = ? WHERE secret = ?");
  mark.bind(1, now_ms);
  bind_hash(mark, 2, key);
  mark.bind(3, certificate);
  bind_hash(mark, 4, secret);
  mark.exec();
  SQLite::Statement forget(database,
                           "DELETE FROM tokens WHERE secret IN (SELECT secret FROM tokens WHERE "
                           "used_ms != 0 ORDER BY used_ms DESC LIMIT -1 OFFSET ?)");
  forget.bind(1, static_cast<int64_t>(limits::kUsedTokensMax));
  forget.exec();
}

void keep_node(SQLite::Database& database, const std::string& node, const NodeKey& key) {
  SQLite::Statement put(database,
                        "INSERT INTO nodes (node, key, former, is_bound) VALUES (?, ?, ?, ?) ON "
                        "CONFLICT (node) DO UPDATE SET key = excluded.key, former = "
                        "excluded.former, is_bound = excluded.is_bound");
  put.bind(1, node);
  bind_hash(put, 2, key.key);
  bind_hash(put, 3, key.former);
  put.bind(4, key.is_bound ? 1 : 0);
  put.exec();
}

}  // namespace

JoinTokens::JoinTokens(std::unique_ptr<SQLite::Database> database,
                       std::unordered_map<std::string, NodeKey> nodes)
    : database_(std::move(database)), nodes_(std::move(nodes)) {}
JoinTokens::~JoinTokens() = default;

Result<std::unique_ptr<JoinTokens>> JoinTokens::open(const std::filesystem::path& file) {
  NOTP_ASSIGN(auto database, open_database(file));
  const std::string doing = fmt::format("cannot open {}", file.string());
  NOTP_TRY(sqlite_try(doing, [&] { prepare(*database); }));
  std::unordered_map<std::string, NodeKey> nodes;
  NOTP_TRY(sqlite_try(doing, [&] {
    SQLite::Statement row(*database, "SELECT node, key, former, is_bound FROM nodes");
    while (row.executeStep())
      nodes[row.getColumn(0).getString()] = {hash_in(row.getColumn(1)), hash_in(row.getColumn(2)),
                                             row.getColumn(3).getInt() != 0};
  }));
  return std::unique_ptr<JoinTokens>(new JoinTokens(std::move(database), std::move(nodes)));
}

Result<void> JoinTokens::copy_to(const std::filesystem::path& file) {
  const MutexLock lock(mutex_);
  return copy_database(*database_, file);
}

// --- tokens

Result<void> JoinTokens::add(const NewToken& token, TimeMs now_ms) {
  const MutexLock lock(mutex_);
  SQLite::Database& database = *database_;
  auto added = sqlite_try("cannot keep a join token", [&]() -> Result<void> {
    SQLite::Transaction transaction(database);
    SQLite::Statement purge(database, "DELETE FROM tokens WHERE expires_ms <= ?");
    purge.bind(1, now_ms);
    purge.exec();
    const int64_t out =
        database.execAndGet("SELECT count(*) FROM tokens WHERE used_ms = 0").getInt64();
    if (out >= static_cast<int64_t>(limits::kJoinTokensMax))
      return fail(
          ErrorCode::kLimit,
          fmt::format("{} join tokens are out already; wait until some are used or expire", out));
    SQLite::Statement insert(database,
                             "INSERT INTO tokens (secret, node, issuer, expires_ms, used_ms, "
                             "replaces) VALUES (?, ?, ?, ?, 0, ?)");
    bind_hash(insert, 1, token.secret);
    insert.bind(2, token.node);
    insert.bind(3, token.issuer);
    insert.bind(4, token.expires_ms);
    insert.bind(5, token.replaces ? 1 : 0);
    insert.exec();
    transaction.commit();
    return {};
  });
  if (!added) return std::unexpected(std::move(added).error());
  return *added;
}

Result<JoinTokens::Used> JoinTokens::use(
    const Hash& secret, const Hash& key, TimeMs now_ms,
    const std::function<Result<std::string>(const std::string&)>& issue) {
  const MutexLock lock(mutex_);
  SQLite::Database& database = *database_;
  auto used = sqlite_try("cannot use a join token", [&]() -> Result<Used> {
    SQLite::Transaction transaction(database);
    NOTP_ASSIGN(Found found, find(database, secret, now_ms));
    const std::string& node = found.token.node;
    const NodeKey known = find_node(node);
    if (found.is_used) {
      // Used by another key, or the node's key has changed since.
      if (found.key.is_zero() || found.key != key || known.key != key)
        return fail(ErrorCode::kJoinRefused,
                    fmt::format("the join token of {} was used before", node));
      found.token.is_again = true;
      return std::move(found.token);
    }
    const bool is_other = !known.key.is_zero() && known.key != key;
    if (is_other && !found.replaces)
      return fail(ErrorCode::kJoinRefused,
                  fmt::format("{} has joined already, with another key; a token that gives its "
                              "name away is made with `notp node enroll {} --replace`",
                              node, node));
    NOTP_TRY(check_room(node));
    NOTP_ASSIGN(found.token.certificate, issue(node));
    const NodeKey next{key, {}, known.is_bound || found.replaces};
    mark_used(database, secret, key, found.token.certificate, now_ms);
    keep_node(database, node, next);
    transaction.commit();
    found.token.has_replaced = found.replaces;
    const WriterLock nodes(nodes_mutex_);
    nodes_[node] = next;
    return std::move(found.token);
  });
  if (!used) return std::unexpected(std::move(used).error());
  return *std::move(used);
}

// --- names

NodeKey JoinTokens::find_node(const std::string& node) const {
  const ReaderLock lock(nodes_mutex_);
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? NodeKey{} : found->second;
}

bool JoinTokens::knows(const std::string& node) const { return !find_node(node).key.is_zero(); }

Result<void> JoinTokens::check(const std::string& node, const Hash& key) const {
  const NodeKey known = find_node(node);
  if (!known.is_bound || known.key == key || (!known.former.is_zero() && known.former == key))
    return {};
  return fail(ErrorCode::kRevoked,
              fmt::format("the name {} was given to another key; if this node is to have it, enrol "
                          "it again with a token of `notp node enroll {} --replace`",
                          node, node));
}

bool JoinTokens::changes_key(const std::string& node, const Hash& key) const {
  const NodeKey known = find_node(node);
  return known.key.is_zero() || (known.key == key && !known.former.is_zero());
}

Result<void> JoinTokens::check_room(const std::string& node) const {
  const ReaderLock lock(nodes_mutex_);
  if (nodes_.size() < limits::kKnownNodesMax || nodes_.contains(node)) return {};
  return fail(ErrorCode::kLimit,
              fmt::format("{} nodes are known here already; no other one can join",
                          limits::kKnownNodesMax));
}

Result<bool> JoinTokens::seen(const std::string& node, const Hash& key) {
  const MutexLock lock(mutex_);
  NodeKey known = find_node(node);
  const bool is_new = known.key.is_zero();
  if (!is_new && (known.key != key || known.former.is_zero())) return false;
  if (is_new) NOTP_TRY(check_room(node));
  known.key = key;
  known.former = {};
  SQLite::Database& database = *database_;
  NOTP_TRY(sqlite_try("cannot keep a node's key", [&] { keep_node(database, node, known); }));
  const WriterLock nodes(nodes_mutex_);
  nodes_[node] = known;
  return !is_new;
}

Result<void> JoinTokens::renewed(const std::string& node, const Hash& from, const Hash& to) {
  const MutexLock lock(mutex_);
  NOTP_TRY(check(node, from));
  NOTP_TRY(check_room(node));
  const NodeKey next{to, from == to ? Hash{} : from, find_node(node).is_bound};
  SQLite::Database& database = *database_;
  NOTP_TRY(sqlite_try("cannot keep a node's key", [&] { keep_node(database, node, next); }));
  const WriterLock nodes(nodes_mutex_);
  nodes_[node] = next;
  return {};
}

}  // namespace notp::enroll
