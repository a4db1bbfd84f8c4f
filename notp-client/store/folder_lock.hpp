// Ensures one process per data folder.
#pragma once

#include <filesystem>

#include "common/result.hpp"

namespace notp::store {

// Holds flock(2) on "<folder>/lock" for its lifetime; the kernel releases it when the process ends,
// however it ends. Movable, not copyable.
class FolderLock {
 public:
  // kConflict when another process holds it, with that process's id; kIo.
  static Result<FolderLock> acquire(const std::filesystem::path& folder);

  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace notp::store
