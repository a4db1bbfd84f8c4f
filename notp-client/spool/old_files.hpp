// Keeps the files of a log that cannot go on, as evidence.
#pragma once

#include <filesystem>
#include <string>

#include "common/result.hpp"

namespace notp::spool {

// Renames spool.db and its write-ahead log to "<name>.old-<time>", and removes the oldest
// files beyond kOldLogsKept times. Returns the ending. kIo.
Result<std::string> set_old_table_aside(const std::filesystem::path& folder);
// The same with the ring.
Result<void> set_old_ring_aside(const std::filesystem::path& folder);

}  // namespace notp::spool
