// Restores a registry from a backup.
#pragma once

#include "notp-server/backup/manifest.hpp"
#include "notp-server/backup/registry_places.hpp"

namespace notp::backup {

// Is in a data folder while it is being restored.
inline constexpr const char* kRestoreMark = "restore.unfinished";

// kConflict: a restore into this data folder was interrupted, and what is there is a part of a
// registry. A registry must not start with it.
Result<void> check_not_interrupted(const std::filesystem::path& data_dir);

struct RestoreOptions {
  RegistryPlaces places;
  std::filesystem::path backup;
  bool with_keys = false;  // also the files that the configuration names and that are missing
  Say say;
};

struct RestoreReport {
  Manifest manifest;
  uint64_t join_tokens = 0;                       // that are void now
  std::vector<std::filesystem::path> configured;  // files that were put back
};

// Checks the backup, changes nothing before all of it is good, and writes it into an empty
// data_dir; the registry's file of the configured root must fit the chain. Join tokens are void
// afterwards: one that was used after the backup could be used again. The registry knows by
// registry::RestoredMark that nodes may have newer releases. A crash leaves kRestoreMark.
//
// kUsage: data_dir is not empty, or belongs to another user; kConflict: a registry runs; the errors
// of check_backup(); kConfig, kRootInvalid: the configured root; kIo.
Result<RestoreReport> restore_backup(const RestoreOptions& options);

}  // namespace notp::backup
