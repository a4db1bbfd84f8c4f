// Blobs, the table of meta values and the format of a SQLite database.
// All functions throw SQLite::Exception.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "common/bytes.hpp"
#include "common/storage/sqlite_attempt.hpp"

namespace notp {

inline Bytes blob_of(const SQLite::Column& column) {
  return {static_cast<const char*>(column.getBlob()), static_cast<size_t>(column.getBytes())};
}

inline void bind_blob(SQLite::Statement& statement, int at, ByteView value) {
  statement.bind(at, value.empty() ? static_cast<const void*>("") : value.data(),
                 static_cast<int>(value.size()));
}

// Empty: there is none.
inline Bytes meta_value(const SQLite::Database& database, const std::string& name) {
  SQLite::Statement found(database, "SELECT value FROM meta WHERE name = ?");
  found.bind(1, name);
  return found.executeStep() ? blob_of(found.getColumn(0)) : Bytes();
}

inline void put_meta(const SQLite::Database& database, const std::string& name, ByteView value) {
  SQLite::Statement put(database, "INSERT OR REPLACE INTO meta VALUES (?, ?)");
  put.bind(1, name);
  bind_blob(put, 2, value);
  put.exec();
}

// Makes the tables of an empty database. Throws Refused with kConfig for one of another format.
inline void make_tables(SQLite::Database& database, std::string_view what, int format,
                        const char* schema) {
  const int found = database.execAndGet("PRAGMA user_version").getInt();
  if (found == format) return;
  if (found != 0)
    refuse(ErrorCode::kConfig,
           fmt::format("{} has format {}, this program reads {}, and has changed nothing: use the "
                       "program that wrote it",
                       what, found, format));
  SQLite::Transaction transaction(database);
  database.exec(schema);
  database.exec(fmt::format("PRAGMA user_version = {}", format));
  transaction.commit();
}

}  // namespace notp
