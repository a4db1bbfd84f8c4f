#include "notp-server/backup/database_files.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include "common/storage/sqlite.hpp"

namespace notp::backup {

Result<void> check_database(const std::filesystem::path& file) {
  NOTP_ASSIGN(const std::string outcome, sqlite_try("it cannot be read", [&] {
                SQLite::Database database(database_uri(file, "mode=ro&immutable=1"),
                                          SQLite::OPEN_READONLY | SQLite::OPEN_URI);
                database.exec("PRAGMA cell_size_check = ON");
                return database.execAndGet("PRAGMA quick_check(1)").getString();
              }));
  if (outcome == "ok") return {};
  return fail(ErrorCode::kCorrupt, "quick_check: " + outcome);
}

Result<uint64_t> clear_join_tokens(const std::filesystem::path& file) {
  NOTP_ASSIGN(const auto database, open_database(file));
  return sqlite_try(fmt::format("cannot clear the join tokens in {}", file.string()),
                    [&] { return static_cast<uint64_t>(database->exec("DELETE FROM tokens")); });
}

}  // namespace notp::backup
