// Binding and reading byte columns without copies. Part of SqliteStore.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/bytes.hpp"

namespace notp::store {

// `bytes` must outlive the statement's execution.
inline void bind_bytes(SQLite::Statement& statement, int index, ByteView bytes) {
  // A null pointer would bind NULL in place of an empty value.
  statement.bindNoCopy(index, bytes.empty() ? "" : bytes.data(), static_cast<int>(bytes.size()));
}

// Valid until the statement's next step or reset.
inline ByteView view(const SQLite::Column& column) {
  const auto* data = static_cast<const char*>(column.getBlob());
  return {data == nullptr ? "" : data, static_cast<size_t>(column.getBytes())};
}

}  // namespace notp::store
