// Grants in SQLite: the file txn_grants.db in the service's folder. README.md says what is in it.
#pragma once

#include <filesystem>
#include <memory>

#include "notp-client/txn/grants/grants.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace SQLite {
class Database;
}

namespace notp::txn {

inline constexpr const char* kGrantsFile = "txn_grants.db";

struct SqliteGrantsOptions {
  std::filesystem::path folder;
  size_t grants_max = limits::kTxnGrantsMax;
};

class SqliteGrants final : public Grants {
 public:
  // Opens or creates the file, mode 0600. kCorrupt: it is damaged: nothing is changed, since an
  // empty one would not know what was used. kConfig: another program's format. kIo.
  static Result<std::unique_ptr<SqliteGrants>> open(SqliteGrantsOptions options);
  ~SqliteGrants() override;

  Result<std::optional<GrantFinding>> find(std::string_view id, std::string_view peer,
                                           std::string_view jti, TimeMs now_ms) override;
  std::vector<TokenResult<GrantOutcome>> apply(std::span<const GrantChange> changes,
                                               TimeMs now_ms) override;
  Result<GrantPage> list(const GrantFilter& filter, std::string_view from, size_t max) override;
  Result<RevokedGrants> revoke(std::string_view id, TimeMs now_ms) override;
  Result<RevokedGrants> revoke_txn(std::string_view txn, TimeMs now_ms) override;
  Result<bool> sweep(TimeMs now_ms) override;
  size_t size() const override { return size_; }
  TimeMs latest_ms() const override { return latest_ms_; }

 private:
  explicit SqliteGrants(SqliteGrantsOptions options);

  const SqliteGrantsOptions options_;
  std::unique_ptr<SQLite::Database> database_;
  size_t size_ = 0;
  TimeMs latest_ms_ = 0;
};

}  // namespace notp::txn
