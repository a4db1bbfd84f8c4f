// Copies of files with their hashes, durable when a call returns.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/crypto/digest.hpp"
#include "common/result.hpp"

namespace notp::backup {

struct FileFacts {
  uint64_t bytes = 0;
  Hash sha256;
  bool operator==(const FileFacts&) const = default;
};

// All functions: kNotFound when the file is not there, kIo; links are not followed, and what is not
// a regular file is kIo. A copy has mode 0600 and must not exist before.
Result<FileFacts> hash_file(const std::filesystem::path& file);
Result<FileFacts> copy_hashed(const std::filesystem::path& from, const std::filesystem::path& to);
// A second name for the same file; on another file system a copy. Only for files that never change.
Result<FileFacts> link_hashed(const std::filesystem::path& from, const std::filesystem::path& to);

// Flushes the names in a folder and in all folders below it.
Result<void> sync_folders(const std::filesystem::path& folder);

// The paths below a folder, sorted, as seen from there; folders have none of their own. Nothing
// when there is no such folder. kIo; kCorrupt for anything but files and folders.
Result<std::vector<std::string>> files_below(const std::filesystem::path& folder);

// kUsage when another user owns the folder: files of this process would be of no use to it, or its
// files to this process. No error when it is missing.
Result<void> check_owner(const std::filesystem::path& folder, std::string_view command);

}  // namespace notp::backup
