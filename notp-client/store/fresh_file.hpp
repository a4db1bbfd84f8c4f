// The file that a first large release is written into, beside the one it is to replace. Part of
// SqliteStore.
#pragma once

#include <filesystem>

#include "common/result.hpp"

namespace notp::sqlite_store {

inline std::filesystem::path fresh_file(const std::filesystem::path& file) {
  return file.string() + ".new";
}

// What a crash has left of one is of no use to anybody. kIo.
Result<void> drop_fresh_file(const std::filesystem::path& file);

}  // namespace notp::sqlite_store
