// Whole-file reads and durable whole-file writes.
#pragma once

#include <filesystem>

#include "common/bytes.hpp"

namespace notp {

// Reads a regular file of at most `bytes_max`. kNotFound when there is none, kLimit when larger,
// kIo.
Result<Bytes> read_file(const std::filesystem::path& path, size_t bytes_max);

// Replaces `path` atomically: temporary file in the same folder, fsync, rename, fsync of the
// folder. A crash leaves the old or the new content. `mode` as in chmod(2).
Result<void> write_file(const std::filesystem::path& path, ByteView content, unsigned mode = 0644);

// fsync of a folder, so that names created or renamed in it survive a crash.
Result<void> sync_folder(const std::filesystem::path& folder);
// fsync of a file that something else wrote.
Result<void> sync_file(const std::filesystem::path& file);

// Creates a folder and its parents; an existing one is not an error.
Result<void> make_folders(const std::filesystem::path& folder);

}  // namespace notp
