// Stores that earlier programs have written, kept as SQL in tests/integration/kept_stores, and what
// a test looks at in a database that no program has open.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/storage/files.hpp"

namespace notp::kept {

inline constexpr size_t kStoreBytesMax = 16 << 20;

inline std::filesystem::path kept_store(const std::string& name) {
  const char* source = std::getenv("NOTP_SOURCE");
  REQUIRE_MESSAGE(source != nullptr, "run through ctest, which sets NOTP_SOURCE");
  return std::filesystem::path(source) / "tests/integration/kept_stores" / name;
}

inline Bytes content_of(const std::filesystem::path& file) {
  auto content = read_file(file, kStoreBytesMax);
  REQUIRE_MESSAGE(content, content.error().message);
  return *std::move(content);
}

// The database as the program has left it after an orderly end: all of it in one file, which the
// next program opens with a write-ahead log.
inline void restore(const std::filesystem::path& file, const std::string& name) {
  SQLite::Database database(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("PRAGMA page_size = 16384");
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(content_of(kept_store(name + ".sql")));
}

inline SQLite::Database open_alone(const std::filesystem::path& file) {
  SQLite::Database database(file.string(), SQLite::OPEN_READWRITE);
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  return database;
}

inline int format_of(const std::filesystem::path& file) {
  return open_alone(file).execAndGet("PRAGMA user_version").getInt();
}

inline void set_format(const std::filesystem::path& file, int format) {
  open_alone(file).exec(fmt::format("PRAGMA user_version = {}", format));
}

// The schema as SQLite stores it, without white space and comments.
inline std::vector<std::string> schema_of(const std::filesystem::path& file) {
  SQLite::Database database = open_alone(file);
  SQLite::Statement query(database, "SELECT sql FROM sqlite_master WHERE sql NOTNULL");
  std::vector<std::string> out;
  while (query.executeStep()) {
    std::string& text = out.emplace_back();
    const std::string sql = query.getColumn(0).getString();
    for (size_t i = 0; i < sql.size(); ++i) {
      if (sql.compare(i, 2, "--") == 0) i = std::min(sql.find('\n', i), sql.size());
      if (i < sql.size() && std::isspace(static_cast<unsigned char>(sql[i])) == 0) text += sql[i];
    }
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace notp::kept
