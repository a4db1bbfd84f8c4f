// Opens SQLite files with the settings of this project.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <concepts>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp {

inline constexpr size_t kDatabasePageBytes = 16 << 10;  // of databases made here

struct DatabaseOptions {
  // A file made by this call can be shrunk later, by PRAGMA incremental_vacuum.
  bool can_shrink = false;
};

// Opens or creates a database: WAL, synchronous=FULL (one fsync a commit), 16 KiB pages, foreign
// keys, defensive mode, untrusted schema, cell size checks. SQLite 3.40.1 has a WAL-reset race
// between connections: one connection per file, used by one thread at a time. `folder/name` may be
// ":memory:". On a read-only disk it is read into memory, including its changes
// (common/storage/sqlite_memory.hpp). kCorrupt when the file is not a healthy database: quick_check
// runs when the last user did not close it (a WAL file or a journal is left).
Result<std::unique_ptr<SQLite::Database>> open_database(const std::filesystem::path& file,
                                                        const DatabaseOptions& options = {});

// Opens a database that is not in use yet, to write much into it at once: without a journal, and
// with one fsync a commit. After a commit the file is durable; after an error, or a crash before
// that, it is useless. kCorrupt, kIo.
Result<std::unique_ptr<SQLite::Database>> open_database_to_fill(const std::filesystem::path& file);

// Opens a database read-only: an existing log stays unchanged, and nothing is checked. An
// unfinished journal of a crash is rolled back. kCorrupt, kIo.
Result<std::unique_ptr<SQLite::Database>> open_database_to_read(const std::filesystem::path& file);

// The URI that opens a file with parameters, as in "mode=ro&immutable=1" (sqlite.org/uri.html).
std::string database_uri(const std::filesystem::path& file, std::string_view parameters);

// Writes all committed data into a separate file, mode 0600, which is complete and durable once it
// exists; an existing one is replaced. Takes as long as writing it all, and needs the connection
// meanwhile: other processes cannot read an open database. kIo, kCorrupt.
Result<void> copy_database(SQLite::Database& database, const std::filesystem::path& to);

// The Error of a SQLite exception: kCorrupt for damage, kIo for a full or failing disk.
Error sqlite_error(std::string_view doing, const SQLite::Exception& exception);

// Runs `body` and turns an exception of SQLiteCpp into an Error.
template <std::invocable Body>
auto sqlite_try(std::string_view doing, Body&& body) -> Result<std::invoke_result_t<Body>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Body>>) {
      body();
      return {};
    } else {
      return body();
    }
  } catch (const SQLite::Exception& exception) {
    return std::unexpected(sqlite_error(doing, exception));
  }
}

}  // namespace notp
