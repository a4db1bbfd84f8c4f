#include "notp-client/store/folder_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/storage/read_only_disk.hpp"

namespace notp::store {
namespace {

std::string holder_of(int fd) {
  char text[32] = {};
  const ssize_t size = ::pread(fd, text, sizeof text - 1, 0);
  return size > 0 ? fmt::format("process {}", std::string_view(text, static_cast<size_t>(size)))
                  : "another process";
}

}  // namespace

Result<FolderLock> FolderLock::acquire(const std::filesystem::path& folder) {
  const auto file = folder / "lock";
  // On a read-only disk no process can write, so no lock is needed.
  if (is_on_read_only_disk(folder)) return FolderLock(-1);
  FolderLock lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.fd_ < 0)
    return fail(ErrorCode::kIo,
                fmt::format("cannot create {}: {}", file.string(), std::strerror(errno)));
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return fail(ErrorCode::kIo,
                  fmt::format("cannot lock {}: {}", file.string(), std::strerror(errno)));
    return fail(ErrorCode::kConflict,
                fmt::format("{} is in use by {}: stop it, or give this agent a data_dir of its own",
                            folder.string(), holder_of(lock.fd_)));
  }
  // For people and for the message above; the lock does not depend on it.
  const std::string pid = fmt::format("{}", ::getpid());
  if (::ftruncate(lock.fd_, 0) != 0 || ::pwrite(lock.fd_, pid.data(), pid.size(), 0) < 0)
    return fail(ErrorCode::kIo,
                fmt::format("cannot write {}: {}", file.string(), std::strerror(errno)));
  return lock;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace notp::store
