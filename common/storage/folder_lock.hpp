// Ensures one process per data folder.
#pragma once

#include <filesystem>

#include "common/descriptor.hpp"
#include "common/result.hpp"

namespace notp {

// Holds flock(2) on "<folder>/lock" for its lifetime; the kernel releases it when the process ends,
// however it ends. On a read-only disk no process can write, and it holds nothing.
class FolderLock {
 public:
  // kConflict when another process holds it, with that process's id; kIo.
  static Result<FolderLock> acquire(const std::filesystem::path& folder);

 private:
  explicit FolderLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace notp
