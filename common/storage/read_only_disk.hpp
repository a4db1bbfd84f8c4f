// A disk that takes no writes: what a process can do there is read.
#pragma once

#include <filesystem>

namespace notp {

// The file system of a folder is mounted read-only. False for a folder that is not there.
bool is_on_read_only_disk(const std::filesystem::path& folder);

}  // namespace notp
