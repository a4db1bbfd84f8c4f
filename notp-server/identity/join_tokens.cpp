#include "notp-server/identity/join_tokens.hpp"

#include <SQLiteCpp/VariadicBind.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sqlite3.h>

#include <optional>

#include "common/limits.hpp"
#include "common/sqlite.hpp"

namespace notp {
namespace {

constexpr int kSchemaVersion = 1;
constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS tokens (
  secret BLOB PRIMARY KEY,
  node TEXT NOT NULL,
  issuer TEXT NOT NULL,
  expires_ms INTEGER NOT NULL,
  used_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)";

void prepare(SQLite::Database& database) {
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  if (version != 0 && version != kSchemaVersion)
    throw SQLite::Exception(fmt::format("the join tokens have format {}, this program reads {}",
                                        version, kSchemaVersion),
                            SQLITE_NOTADB);
  SQLite::Transaction transaction(database);
  database.exec(kSchema);
  database.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.commit();
}

void bind_hash(SQLite::Statement& statement, int index, const Hash& hash) {
  statement.bind(index, hash.bytes.data(), static_cast<int>(hash.bytes.size()));
}

// The name of the node; kJoinRefused with what is wrong with the token.
Result<std::string> find(SQLite::Database& database, const Hash& secret, TimeMs now_ms) {
  SQLite::Statement row(database,
                        "SELECT secret, node, expires_ms, used_ms FROM tokens WHERE secret = ?");
  bind_hash(row, 1, secret);
  // The index compares hashes, whose order says nothing about secrets; equality is settled here, in
  // constant time.
  if (!row.executeStep() || row.getColumn(0).getBytes() != static_cast<int>(Hash::kSize) ||
      CRYPTO_memcmp(row.getColumn(0).getBlob(), secret.bytes.data(), Hash::kSize) != 0)
    return fail(ErrorCode::kJoinRefused, "the join token is unknown");
  std::string node = row.getColumn(1).getString();
  if (row.getColumn(3).getInt64() != 0)
    return fail(ErrorCode::kJoinRefused, fmt::format("the join token of {} was used before", node));
  if (row.getColumn(2).getInt64() <= now_ms)
    return fail(ErrorCode::kJoinRefused, fmt::format("the join token of {} has expired", node));
  return node;
}

}  // namespace

JoinTokens::JoinTokens(std::unique_ptr<SQLite::Database> database)
    : database_(std::move(database)) {}
JoinTokens::~JoinTokens() = default;

Result<std::unique_ptr<JoinTokens>> JoinTokens::open(const std::filesystem::path& file) {
  NOTP_ASSIGN(auto database, open_database(file));
  NOTP_TRY(sqlite_try(fmt::format("cannot open {}", file.string()), [&] { prepare(*database); }));
  return std::unique_ptr<JoinTokens>(new JoinTokens(std::move(database)));
}

Result<void> JoinTokens::add(const NewToken& token, TimeMs now_ms) {
  const std::scoped_lock lock(mutex_);
  auto added = sqlite_try("cannot keep a join token", [&]() -> Result<void> {
    SQLite::Transaction transaction(*database_);
    SQLite::Statement purge(*database_, "DELETE FROM tokens WHERE expires_ms <= ?");
    purge.bind(1, now_ms);
    purge.exec();
    const int64_t out =
        database_->execAndGet("SELECT count(*) FROM tokens WHERE used_ms = 0").getInt64();
    if (out >= static_cast<int64_t>(limits::kJoinTokensMax))
      return fail(
          ErrorCode::kLimit,
          fmt::format("{} join tokens are out already; wait until some are used or expire", out));
    SQLite::Statement insert(*database_, "INSERT INTO tokens VALUES (?, ?, ?, ?, 0)");
    bind_hash(insert, 1, token.secret);
    insert.bind(2, token.node);
    insert.bind(3, token.issuer);
    insert.bind(4, token.expires_ms);
    insert.exec();
    transaction.commit();
    return {};
  });
  if (!added) return std::unexpected(std::move(added).error());
  return *added;
}

Result<void> JoinTokens::use(const Hash& secret, TimeMs now_ms,
                             const std::function<Result<void>(const std::string&)>& join) {
  const std::scoped_lock lock(mutex_);
  auto used = sqlite_try("cannot use a join token", [&]() -> Result<void> {
    SQLite::Transaction transaction(*database_);
    NOTP_ASSIGN(const std::string node, find(*database_, secret, now_ms));
    NOTP_TRY(join(node));
    SQLite::Statement mark(*database_, "UPDATE tokens SET used_ms = ? WHERE secret = ?");
    mark.bind(1, now_ms);
    bind_hash(mark, 2, secret);
    mark.exec();
    transaction.commit();
    return {};
  });
  if (!used) return std::unexpected(std::move(used).error());
  return *used;
}

}  // namespace notp
