// Ensures one process per spool.
#pragma once

#include <filesystem>

#include "common/descriptor.hpp"
#include "common/result.hpp"

namespace notp::spool {

// Holds flock(2) on "<folder>/lock" for its lifetime; the kernel releases it when the process ends,
// however it ends.
class SpoolLock {
 public:
  // kConflict when another process holds it, with that process's id; kIo.
  static Result<SpoolLock> acquire(const std::filesystem::path& folder);

 private:
  explicit SpoolLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace notp::spool
