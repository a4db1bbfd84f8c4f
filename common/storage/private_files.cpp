#include "common/storage/private_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/storage/files.hpp"

namespace notp {
namespace {

constexpr unsigned kOwnerOnly = 0600, kGroupReads = 0040;

void take_from_others(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & 077) != 0)
    static_cast<void>(::chmod(path.c_str(), status.st_mode & 0700));
}

bool is_in_group(gid_t group) {
  if (group == ::getegid()) return true;
  std::vector<gid_t> groups(static_cast<size_t>(std::max(::getgroups(0, nullptr), 0)));
  groups.resize(static_cast<size_t>(
      std::max(::getgroups(static_cast<int>(groups.size()), groups.data()), 0)));
  return std::ranges::find(groups, group) != groups.end();
}

// The permitted modes of a file of secrets. A file of another user is readable only through its
// group; Kubernetes mounts a Secret this way. systemd gives a credential of root to one user by an
// access control list, whose mask stands in the place of the group's mode.
unsigned modes_allowed(const struct stat& status) {
  const bool is_given =
      status.st_uid != ::geteuid() && (status.st_gid == 0 || is_in_group(status.st_gid));
  return is_given ? kOwnerOnly | kGroupReads : kOwnerOnly;
}

}  // namespace

Result<void> make_private_folder(const std::filesystem::path& folder) {
  NOTP_TRY(make_folders(folder));
  take_from_others(folder);
  return {};
}

void make_private_file(const std::filesystem::path& file) {
  if (const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
      fd >= 0)
    ::close(fd);
  else
    take_from_others(file);
}

Result<Bytes> read_private_file(const std::filesystem::path& file, size_t bytes_max) {
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0)
    return fail(ErrorCode::kConfig, fmt::format("{}: {}", file.string(), std::strerror(errno)));
  if ((status.st_mode & 0777 & ~modes_allowed(status)) != 0)
    return fail(ErrorCode::kConfig,
                fmt::format("{} holds secrets and has mode {:04o}; others than its owner must not "
                            "reach it: chmod 600 {}",
                            file.string(), status.st_mode & 0777, file.string()));
  auto text = read_file(file, bytes_max);
  if (!text) return fail(ErrorCode::kConfig, std::move(text).error().message);
  return text;
}

}  // namespace notp
