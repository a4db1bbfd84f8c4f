// A database on a read-only disk: read into memory with its log, and changed there.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>

#include "common/result.hpp"

namespace notp {

// Limit for database and log together: a process's memory for a read-only disk.
inline constexpr uint64_t kMemoryDatabaseBytesMax = 4ULL << 30;

// Returns the database in memory, as of its last commit; an empty one when there is no file. The
// disk is not touched, and writes are lost with the object. kCorrupt, also for an unfinished
// journal, which could only be rolled back by writing; kLimit, kIo.
Result<std::unique_ptr<SQLite::Database>> read_into_memory(const std::filesystem::path& file);

}  // namespace notp
