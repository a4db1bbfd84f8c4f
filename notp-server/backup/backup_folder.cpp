#include "notp-server/backup/backup_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "common/failpoint.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"

namespace notp::backup {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUnfinished = ".unfinished";

std::unexpected<Error> failed(std::string_view doing, const fs::path& path, int error) {
  return fail(ErrorCode::kIo,
              fmt::format("cannot {} {}: {}", doing, path.string(), std::strerror(error)));
}

// The path with a last component, as "folder/" has none.
fs::path without_slash(const fs::path& path) {
  std::error_code error;
  const fs::path whole = fs::absolute(path, error).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

Result<void> check_target(const fs::path& target) {
  std::error_code error;
  const fs::file_type type = fs::symlink_status(target, error).type();
  if (type == fs::file_type::not_found) return {};
  if (error) return failed("inspect", target, error.value());
  const bool is_empty = type == fs::file_type::directory && fs::is_empty(target, error);
  if (error) return failed("list", target, error.value());
  if (!is_empty)
    return fail(
        ErrorCode::kUsage,
        fmt::format("{} is there and is not an empty folder: each backup goes into a folder "
                    "of its own",
                    target.string()));
  struct stat own{}, parent{};
  if (::stat(target.c_str(), &own) == 0 && ::stat(target.parent_path().c_str(), &parent) == 0 &&
      own.st_dev != parent.st_dev)
    return fail(ErrorCode::kUsage,
                fmt::format("{0} is a mount point: name a new folder in it, such as {0}/backup",
                            target.string()));
  return {};
}

Result<void> clear(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    fs::remove_all(it->path(), error);
  if (error) return failed("clear", folder, error.value());
  return {};
}

}  // namespace

Result<BackupFolder> BackupFolder::begin(fs::path target) {
  target = without_slash(target);
  NOTP_TRY(check_target(target));
  const fs::path folder = target.string() + kUnfinished;
  NOTP_TRY(make_private_folder(folder));
  Descriptor lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (lock.get() < 0) return failed("open", folder, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(
        ErrorCode::kConflict,
        fmt::format("{} is locked: another backup is being written there", folder.string()));
  NOTP_TRY(clear(folder));
  return BackupFolder(std::move(target), folder, std::move(lock));
}

BackupFolder::~BackupFolder() {
  if (!lock_.is_open()) return;
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Result<fs::path> BackupFolder::place(const std::string& path) {
  fs::path to = folder_ / path;
  NOTP_TRY(make_folders(to.parent_path()));
  std::error_code error;
  fs::remove(to, error);
  if (error) return failed("replace", to, error.value());
  return to;
}

Result<void> BackupFolder::copy(const fs::path& from, const std::string& path) {
  NOTP_ASSIGN(const fs::path to, place(path));
  NOTP_ASSIGN(files_[path], copy_hashed(from, to));
  return {};
}

Result<void> BackupFolder::link(const fs::path& from, const std::string& path) {
  NOTP_ASSIGN(const fs::path to, place(path));
  NOTP_ASSIGN(files_[path], link_hashed(from, to));
  return {};
}

Result<void> BackupFolder::put(const std::string& path, ByteView content) {
  NOTP_ASSIGN(const fs::path to, place(path));
  NOTP_TRY(write_file(to, content, 0600));
  files_[path] = {content.size(), sha256(content)};
  return {};
}

Result<void> BackupFolder::adopt(const std::string& path) {
  NOTP_TRY(sync_file(folder_ / path));
  NOTP_ASSIGN(files_[path], hash_file(folder_ / path));
  return {};
}

Result<void> BackupFolder::finish(const Manifest& manifest) {
  NOTP_ASSIGN(const Bytes text, manifest.encode());
  NOTP_TRY(sync_folders(folder_));
  failpoint("backup.before_manifest");
  NOTP_TRY(write_file(folder_ / kManifestFile, text, 0600));
  failpoint("backup.after_manifest");
  if (::rename(folder_.c_str(), target_.c_str()) != 0) {
    const int error = errno;
    return failed(fmt::format("rename {} to", folder_.string()), target_, error);
  }
  lock_.close();
  return sync_folder(target_.parent_path());
}

}  // namespace notp::backup
