// Opens SQLite files the one way this project uses them.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <concepts>
#include <filesystem>
#include <functional>
#include <memory>

#include "common/result.hpp"

namespace notp {

inline constexpr size_t kDatabasePageBytes = 16 << 10;  // of databases made here

struct DatabaseOptions {
  // A file made by this call can be made shorter later, by PRAGMA incremental_vacuum.
  bool can_shrink = false;
};

// Opens or creates a database: WAL, synchronous=FULL (one fsync a commit), 16 KiB pages, foreign
// keys, defensive mode, untrusted schema, cell size checks. SQLite 3.40.1 has a WAL-reset race
// between connections: one connection per file, used by one thread at a time. `folder/name` may be
// ":memory:". On a disk that takes no writes it is read into memory, changes and all
// (common/storage/sqlite_memory.hpp). kCorrupt when the file is not a healthy database: quick_check
// runs when the last user did not close it (a WAL file or a journal is left).
Result<std::unique_ptr<SQLite::Database>> open_database(const std::filesystem::path& file,
                                                        const DatabaseOptions& options = {});

// Opens a database that nobody depends on yet, to write much into it at once: without a journal,
// and with one fsync a commit. After a commit the file is durable; after an error, or a crash
// before that, it is of no use to anybody. kCorrupt, kIo.
Result<std::unique_ptr<SQLite::Database>> open_database_to_fill(const std::filesystem::path& file);

// Opens a database to look at it: nothing can be written, a log that is left stays as it is, and
// nothing is checked. What a crash left half done in a journal is undone. kCorrupt, kIo.
Result<std::unique_ptr<SQLite::Database>> open_database_to_read(const std::filesystem::path& file);

// Writes all that is committed into a file of its own, mode 0600, which is whole and durable once
// it is there; one that is there is replaced. Takes as long as writing it all, and needs the
// connection meanwhile: nobody else can read a database that is open. kIo, kCorrupt.
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
