// The folder of a backup while it is written: it has its name only when all of it is durable.
#pragma once

#include <filesystem>
#include <string>

#include "common/descriptor.hpp"
#include "notp-server/backup/manifest.hpp"

namespace notp::backup {

// Written as "<target>.unfinished" and renamed by finish(). What an interrupted backup left under
// that name is replaced by the next one with the same target, and removed by the destructor after
// an error. One thread.
class BackupFolder {
 public:
  // `target` is missing or an empty folder: kUsage otherwise, or when it is a mount point, whose
  // name cannot be given to another folder. kConflict: another process writes it. kIo.
  static Result<BackupFolder> begin(std::filesystem::path target);
  BackupFolder(BackupFolder&&) = default;
  BackupFolder& operator=(BackupFolder&&) = delete;
  ~BackupFolder();

  const std::filesystem::path& folder() const { return folder_; }

  // Each adds one file under its path in the backup, or replaces it. The errors of file_copy.hpp.
  Result<void> copy(const std::filesystem::path& from, const std::string& path);
  Result<void> link(const std::filesystem::path& from, const std::string& path);
  Result<void> put(const std::string& path, ByteView content);
  // Returns where to write a file that adopt() then adds.
  Result<std::filesystem::path> place(const std::string& path);
  Result<void> adopt(const std::string& path);

  const std::map<std::string, FileFacts>& files() const { return files_; }

  // Writes the manifest, which has files(), and gives the folder its name.
  Result<void> finish(const Manifest& manifest);

 private:
  BackupFolder(std::filesystem::path target, std::filesystem::path folder, Descriptor lock)
      : target_(std::move(target)), folder_(std::move(folder)), lock_(std::move(lock)) {}

  std::filesystem::path target_, folder_;
  Descriptor lock_;  // of the unfinished folder; not open: moved from, or finished
  std::map<std::string, FileFacts> files_;
};

}  // namespace notp::backup
