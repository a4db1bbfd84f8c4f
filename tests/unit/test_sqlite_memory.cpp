// A database and its log are read into memory as SQLite itself would recover them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "common/storage/sqlite.hpp"
#include "common/storage/sqlite_memory.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBytesMax = 64 << 20;

Bytes bytes_of(const fs::path& file) {
  auto bytes = read_file(file, kBytesMax);
  return bytes ? *std::move(bytes) : Bytes();
}

std::string rows_of(SQLite::Database& database) {
  std::string rows;
  SQLite::Statement query(database, "SELECT id, length(text), text FROM rows ORDER BY id");
  while (query.executeStep())
    rows += fmt::format("{}:{}:{:.8} ", query.getColumn(0).getInt(), query.getColumn(1).getInt(),
                        query.getColumn(2).getString());
  return rows;
}

void add(SQLite::Database& database, int id, size_t bytes) {
  SQLite::Statement insert(database, "INSERT INTO rows VALUES(?, ?)");
  insert.bind(1, id);
  insert.bind(2, std::string(bytes, static_cast<char>('a' + id % 26)));
  insert.exec();
}

// A copy of a killed process's files: database and log, neither closed nor checkpointed.
struct Left {
  TemporaryFolder folder;
  fs::path file = folder.path() / "a copy?#%41.db";
  std::string rows;  // as the living process read them

  explicit Left(const std::function<void(SQLite::Database&)>& work) {
    const fs::path live = folder.path() / "live.db";
    const auto database = open_database(live, {.can_shrink = true});
    REQUIRE(database);
    (*database)->exec("PRAGMA wal_autocheckpoint = 0");
    (*database)->exec("CREATE TABLE rows(id INTEGER PRIMARY KEY, text TEXT)");
    work(**database);
    rows = rows_of(**database);
    REQUIRE(write_file(file, bytes_of(live)));
    REQUIRE(write_file(file.string() + "-wal", bytes_of(live.string() + "-wal")));
  }
  std::string recovered() const {
    const Bytes before = bytes_of(file), log = bytes_of(file.string() + "-wal");
    std::string found;
    {
      const auto database = read_into_memory(file);
      REQUIRE_MESSAGE(database, database.error().message);
      CHECK((*database)->execAndGet("PRAGMA quick_check").getString() == "ok");
      found = rows_of(**database);
      (*database)->exec("DELETE FROM rows");
    }
    CHECK(bytes_of(file) == before);
    CHECK(bytes_of(file.string() + "-wal") == log);
    CHECK_FALSE(fs::exists(file.string() + "-shm"));
    return found;
  }
};

TEST_CASE("what a log has committed is there, what it has not is not") {
  Left left([](SQLite::Database& database) {
    for (int id = 1; id <= 40; ++id) add(database, id, static_cast<size_t>(id) * 1000);
    database.exec("DELETE FROM rows WHERE id % 3 = 0");
  });
  CHECK(left.recovered() == left.rows);
  // Cut anywhere, the result is SQLite's: the complete commits before the cut.
  const Bytes whole = bytes_of(left.file.string() + "-wal");
  REQUIRE(whole.size() > 100'000);
  for (size_t bytes = whole.size(); bytes > 1; bytes -= std::max<size_t>(1, bytes / 7)) {
    REQUIRE(write_file(left.file.string() + "-wal", whole.substr(0, bytes)));
    const auto memory = read_into_memory(left.file);
    REQUIRE(memory);
    const fs::path again = left.folder.path() / "again.db";
    REQUIRE(write_file(again, bytes_of(left.file)));
    REQUIRE(write_file(again.string() + "-wal", whole.substr(0, bytes)));
    SQLite::Database reference(again.string(), SQLite::OPEN_READWRITE);
    const auto tables = [](SQLite::Database& database) {
      return database.execAndGet("SELECT COUNT(*) FROM sqlite_master").getInt();
    };
    REQUIRE(tables(**memory) == tables(reference));
    if (tables(reference) != 0) CHECK(rows_of(**memory) == rows_of(reference));
  }
}

TEST_CASE("a log that was begun anew holds old frames behind its end") {
  Left left([](SQLite::Database& database) {
    for (int id = 1; id <= 20; ++id) add(database, id, 5'000);
    database.exec("PRAGMA wal_checkpoint(RESTART)");
    add(database, 99, 10);
  });
  CHECK(left.recovered() == left.rows);
}

TEST_CASE("a flipped bit ends the log there") {
  Left left([](SQLite::Database& database) {
    for (int id = 1; id <= 10; ++id) add(database, id, 3'000);
  });
  Bytes log = bytes_of(left.file.string() + "-wal");
  log[log.size() - 100] = static_cast<char>(log[log.size() - 100] ^ 1);
  REQUIRE(write_file(left.file.string() + "-wal", log));
  const std::string rows = left.recovered();
  CHECK(rows != left.rows);
  CHECK(left.rows.starts_with(rows));
}

TEST_CASE("without a file there is an empty database, and it can be written") {
  const TemporaryFolder folder;
  const auto database = read_into_memory(folder.path() / "none.db");
  REQUIRE(database);
  (*database)->exec("CREATE TABLE rows(id INTEGER PRIMARY KEY, text TEXT)");
  add(**database, 1, 10);
  CHECK(rows_of(**database) == "1:10:bbbbbbbb ");
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("what is in memory has a bound") {
  const TemporaryFolder folder;
  for (const size_t page_bytes : {4'096, 65'536}) {
    const fs::path file = folder.path() / fmt::format("{}.db", page_bytes);
    {
      SQLite::Database made(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
      made.exec(fmt::format("PRAGMA page_size = {}; CREATE TABLE t(x)", page_bytes));
    }
    const auto database = read_into_memory(file);
    REQUIRE(database);
    const auto pages = (*database)->execAndGet("PRAGMA max_page_count").getInt64();
    CHECK(static_cast<uint64_t>(pages) * page_bytes <= kMemoryDatabaseBytesMax);
  }
}

TEST_CASE("what is no database is refused") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "x.db";
  REQUIRE(write_file(file, "short"));
  CHECK(read_into_memory(file).error().code == ErrorCode::kCorrupt);
  REQUIRE(write_file(file, Bytes(4096, 'x')));
  CHECK(read_into_memory(file).error().code == ErrorCode::kCorrupt);
  fs::resize_file(file, kMemoryDatabaseBytesMax + 1);
  CHECK(read_into_memory(file).error().code == ErrorCode::kLimit);
  REQUIRE(write_file(file, Bytes(4096, 'x')));
  REQUIRE(write_file(file.string() + "-journal", "left"));
  CHECK(read_into_memory(file).error().code == ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace notp
