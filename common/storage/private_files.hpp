// Files and folders that are for nobody but the user of this process.
#pragma once

#include <filesystem>

#include "common/result.hpp"

namespace notp {

// make_folders(), the last of them with mode 0700 whether it was there or not. One that belongs to
// another user, or lies on a disk that cannot be written, stays as it is. kIo.
Result<void> make_private_folder(const std::filesystem::path& folder);

// Creates the file with mode 0600 when it is not there; one that is there gets it. What fails shows
// when the file is used.
void make_private_file(const std::filesystem::path& file);

}  // namespace notp
