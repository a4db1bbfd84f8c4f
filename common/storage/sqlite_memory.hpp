// A database on a disk that nobody can write: read into memory with its log, and changed there.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>

#include "common/result.hpp"

namespace notp {

// Of database and log together: what a process holds of a read-only disk.
inline constexpr uint64_t kMemoryDatabaseBytesMax = 4ULL << 30;

// The database in memory, as its last commit left it; an empty one when there is no file. Nothing
// on the disk is touched, and what is written is gone with the object. kCorrupt, also when a
// journal is left, which could only be undone by writing; kLimit, kIo.
Result<std::unique_ptr<SQLite::Database>> read_into_memory(const std::filesystem::path& file);

}  // namespace notp
