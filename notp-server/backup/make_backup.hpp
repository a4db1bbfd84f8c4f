// Makes a backup of a registry, which may run meanwhile.
#pragma once

#include "notp-server/backup/manifest.hpp"
#include "notp-server/backup/registry_places.hpp"

namespace notp::backup {

struct BackupOptions {
  RegistryPlaces places;
  std::filesystem::path target;  // missing, or an empty folder
  bool with_keys = false;        // also the configuration and the files that it names
  Say say;
};

// What the registry had acknowledged before is in the backup; what it acknowledges meanwhile may
// be. Publishes never wait for it. In this order, so that what is copied later only adds: releases
// that wait for signatures, ledgers, roots, databases. The stores are checked as a restore will,
// before the folder gets its name: an error, or a crash at any point, leaves nothing that passes
// for a backup. kUsage: the target, or the user of this process; kConflict: another backup is being
// made; kCorrupt and others: what check_stores() found in the copy; kIo.
Result<Manifest> make_backup(const BackupOptions& options);

}  // namespace notp::backup
