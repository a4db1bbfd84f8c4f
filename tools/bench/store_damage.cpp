#include "tools/bench/store_damage.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

namespace notp::bench {
namespace {

// What stands as it is has the last of all installs as its end.
constexpr const char* kFlip = R"sql(
  UPDATE blob_contents
  SET content = CAST(substr(content, 1, length(content) - 1) || x'00' AS BLOB)
  WHERE blob = (SELECT blob FROM files
                WHERE last_install = (SELECT MAX(last_install) FROM files)
                  AND blob IN (SELECT blob FROM blob_contents)
                ORDER BY path LIMIT 1))sql";

}  // namespace

Result<void> damage_a_file(const std::filesystem::path& store) {
  try {
    SQLite::Database database((store / "agent.db").string(), SQLite::OPEN_READWRITE);
    if (database.exec(kFlip) == 1) return {};
  } catch (const SQLite::Exception& error) {
    return fail(ErrorCode::kIo,
                "cannot damage " + (store / "agent.db").string() + ": " + error.what());
  }
  return fail(ErrorCode::kNotFound, "the agent's store has no small file to damage");
}

}  // namespace notp::bench
