// Grants in SQLite: the file txn_grants.db in the service's folder. README.md says what is in it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>

#include "notp-client/txn/grants/grants.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace SQLite {
class Database;
}

namespace notp::txn {

class GrantRows;

inline constexpr const char* kGrantsFile = "txn_grants.db";

struct SqliteGrantsOptions {
  std::filesystem::path folder;
  size_t grants_max = limits::kTxnGrantsMax;
};

class SqliteGrants final : public Grants {
 public:
  // Opens or creates the file, mode 0600. kCorrupt: it is damaged; nothing is changed, since an
  // empty one would not know what was used. kConfig: another program's format. kIo, also for a
  // read-only disk: no use could be marked.
  static Result<std::unique_ptr<SqliteGrants>> open(SqliteGrantsOptions options);
  ~SqliteGrants() override;
  SqliteGrants(const SqliteGrants&) = delete;
  SqliteGrants& operator=(const SqliteGrants&) = delete;

  Result<std::optional<GrantFinding>> find(std::string_view id, std::string_view peer,
                                           std::string_view jti) override;
  Result<std::vector<TokenResult<GrantOutcome>>> apply(std::span<const GrantChange> changes,
                                                       TimeMs now_ms) override;
  Result<GrantPage> list(const GrantFilter& filter, std::string_view from) override;
  Result<RevokedGrants> revoke(const GrantRevocation& what, TimeMs now_ms) override;
  Result<bool> sweep(TimeMs now_ms) override;
  size_t size() const override { return size_; }

 private:
  // What a transaction adds to the counts, once it is committed.
  using NewGrants = std::unordered_map<std::string, size_t>;  // by maker

  explicit SqliteGrants(SqliteGrantsOptions options);
  Result<void> open_file();
  TokenResult<GrantOutcome> apply_one(const GrantChange& change, NewGrants& added, TimeMs now_ms);
  TokenResult<GrantOutcome> use(const GrantUse& use, NewGrants& added, TimeMs now_ms);
  TokenResult<> add(const Grant& grant, NewGrants& added);
  void count_added(const NewGrants& added);
  void count_removed(const std::vector<std::string>& makers);

  const SqliteGrantsOptions options_;
  std::unique_ptr<SQLite::Database> database_;
  std::unique_ptr<GrantRows> rows_;
  size_t size_ = 0;
  std::unordered_map<std::string, size_t> by_maker_;
};

}  // namespace notp::txn
