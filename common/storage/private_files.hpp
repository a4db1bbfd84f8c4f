// Files and folders that only the user of this process may access.
#pragma once

#include <filesystem>

#include "common/bytes.hpp"

namespace notp {

// Calls make_folders() and sets the mode of the last folder to 0700, even if it exists. A folder of
// another user, or on a read-only disk, stays unchanged. kIo.
Result<void> make_private_folder(const std::filesystem::path& folder);

// Creates the file with mode 0600, or sets the mode of an existing one. A failure shows when the
// file is used.
void make_private_file(const std::filesystem::path& file);

// Reads a file of secrets, of at most `bytes_max`. kConfig: missing, larger, unreadable, or of a
// mode that lets others than its owner reach it (0640 is right for a file of another user that this
// process reads through its group); the error never repeats its content.
Result<Bytes> read_private_file(const std::filesystem::path& file, size_t bytes_max);

}  // namespace notp
