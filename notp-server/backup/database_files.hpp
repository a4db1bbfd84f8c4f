// Databases in a backup, and in a data folder that no registry has open.
#pragma once

#include <filesystem>

#include "common/result.hpp"

namespace notp::backup {

// `quick_check` of a file that nothing writes. No lock, no log, no change. kCorrupt, kIo.
Result<void> check_database(const std::filesystem::path& file);

// Makes all join tokens void; the keys of nodes stay. Returns how many there were. kCorrupt, kIo.
Result<uint64_t> clear_join_tokens(const std::filesystem::path& file);

}  // namespace notp::backup
