// Files and folders that only the user of this process may access.
#pragma once

#include <filesystem>

#include "common/result.hpp"

namespace notp {

// Calls make_folders() and sets the mode of the last folder to 0700, even if it exists. A folder of
// another user, or on a read-only disk, stays unchanged. kIo.
Result<void> make_private_folder(const std::filesystem::path& folder);

// Creates the file with mode 0600, or sets the mode of an existing one. A failure shows when the
// file is used.
void make_private_file(const std::filesystem::path& file);

}  // namespace notp
