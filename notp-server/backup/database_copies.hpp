// The databases of a registry: copied by itself while it runs, and by this process otherwise.
#pragma once

#include "notp-server/backup/backup_folder.hpp"
#include "notp-server/backup/registry_places.hpp"

namespace notp::backup {

// Adds fleet.db, join-tokens.db, the databases of the token lanes, and the audit store: logs.db,
// the newest day's file, and the files of closed days by link. A running registry is asked by
// SIGUSR1, waits for no one and goes on; it stores no decision records while it copies the newest
// day. kConflict, kTimeout: it does not answer; kIo, kCorrupt.
Result<void> add_databases(const RegistryPlaces& places, const Say& say, BackupFolder& backup);

}  // namespace notp::backup
