// The lock by which a registry owns its data folder; other processes see by it whether one runs.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "common/descriptor.hpp"
#include "common/result.hpp"

namespace notp::registry {

inline constexpr const char* kLockFile = "registry.lock";  // in the data folder

// Held for its lifetime if no registry runs; meanwhile none starts.
struct RegistryLock {
  bool is_running = false;  // a registry has it
  pid_t registry = 0;       // its process id, as it wrote it; 0: unknown
  Descriptor file;          // not open on a read-only disk, where nothing needs the lock
};

// kNotFound: there is no such folder; kIo.
Result<RegistryLock> try_registry_lock(const std::filesystem::path& data_dir);

}  // namespace notp::registry
