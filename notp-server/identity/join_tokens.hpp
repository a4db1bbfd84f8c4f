// The join tokens that are out: hashes, for whom, until when. One SQLite file.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "common/clock.hpp"
#include "common/digest.hpp"

namespace SQLite {
class Database;
}

namespace notp {

// Thread-safe; blocking.
class JoinTokens {
 public:
  // kCorrupt, kIo.
  static Result<std::unique_ptr<JoinTokens>> open(const std::filesystem::path& file);
  ~JoinTokens();

  struct NewToken {
    Hash secret;  // SHA-256 of the secret, which itself is not kept
    std::string node;
    std::string issuer;  // the identity that asked for it
    TimeMs expires_ms = 0;
  };
  // Durable when it returns. kLimit above kJoinTokensMax tokens that are out.
  Result<void> add(const NewToken& token, TimeMs now_ms);

  // Uses the token up, if `join` succeeds with the node's name: one of several that race for a
  // token wins, and a join that fails leaves it as it was. kJoinRefused says for the log whether
  // it is unknown, used or expired; who shows it is told no more than that it is no good.
  Result<void> use(const Hash& secret, TimeMs now_ms,
                   const std::function<Result<void>(const std::string& node)>& join);

 private:
  explicit JoinTokens(std::unique_ptr<SQLite::Database> database);

  std::mutex mutex_;
  const std::unique_ptr<SQLite::Database> database_;  // guarded by mutex_
};

}  // namespace notp
