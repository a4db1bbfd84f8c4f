#include "common/storage/folder_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/storage/read_only_disk.hpp"

namespace notp {
namespace {

std::string holder_of(int fd) {
  char text[32] = {};
  const ssize_t size = ::pread(fd, text, sizeof text - 1, 0);
  return size > 0 ? fmt::format("process {}", std::string_view(text, static_cast<size_t>(size)))
                  : "another process";
}

}  // namespace

Result<FolderLock> FolderLock::acquire(const std::filesystem::path& folder) {
  const auto name = folder / "lock";
  if (is_on_read_only_disk(folder)) return FolderLock(Descriptor());
  Descriptor file(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.is_open())
    return fail(ErrorCode::kIo,
                fmt::format("cannot create {}: {}", name.string(), std::strerror(errno)));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return fail(ErrorCode::kIo,
                  fmt::format("cannot lock {}: {}", name.string(), std::strerror(errno)));
    return fail(ErrorCode::kConflict,
                fmt::format("{} is in use by {}: stop it, or give this agent a data_dir of its own",
                            folder.string(), holder_of(file.get())));
  }
  // For people and for the message above; the lock does not depend on it.
  const std::string pid = fmt::format("{}", ::getpid());
  if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), pid.data(), pid.size(), 0) < 0)
    return fail(ErrorCode::kIo,
                fmt::format("cannot write {}: {}", name.string(), std::strerror(errno)));
  return FolderLock(std::move(file));
}

}  // namespace notp
