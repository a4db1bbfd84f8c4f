// Detects a read-only disk, on which a process can only read.
#pragma once

#include <filesystem>

namespace notp {

// Whether the file system of a folder is mounted read-only. False for a missing folder.
bool is_on_read_only_disk(const std::filesystem::path& folder);

}  // namespace notp
