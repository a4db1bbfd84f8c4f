// Values in the columns of spool.db.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include <cstdint>

#include "common/bytes.hpp"
#include "common/storage/sqlite_attempt.hpp"

namespace notp::spool {

[[noreturn]] inline void refuse_damaged(std::string_view what) {
  refuse(ErrorCode::kCorrupt, fmt::format("{} is damaged", what));
}

// `bytes` must outlive the statement's execution.
inline void bind_bytes(SQLite::Statement& statement, int index, ByteView bytes) {
  statement.bindNoCopy(index, bytes.empty() ? "" : bytes.data(), static_cast<int>(bytes.size()));
}

inline Bytes bytes_of(const SQLite::Column& column) {
  const auto* data = static_cast<const char*>(column.getBlob());
  return data == nullptr ? Bytes() : Bytes(data, static_cast<size_t>(column.getBytes()));
}

inline uint64_t number(const SQLite::Column& column) {
  return static_cast<uint64_t>(column.getInt64());
}
inline int64_t signed_of(uint64_t value) { return static_cast<int64_t>(value); }

}  // namespace notp::spool
