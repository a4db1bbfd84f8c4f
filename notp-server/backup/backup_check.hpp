// Checks a backup against its manifest, and what it holds against what was signed.
#pragma once

#include <optional>

#include "notp-server/backup/manifest.hpp"
#include "notp-server/backup/registry_places.hpp"

namespace notp::backup {

// Everything that a restore demands of a backup. Read-only. Every file is there, alone, and as it
// was written; the chain of roots is whole and of the trust domain; check_repository() and
// check_signatures() of every ledger; `quick_check` of every database. Returns the manifest.
//
// The first error ends it and names the file or the ledger: kNotFound: not a finished backup;
// kVersion: of a later format; kWrongTarget: of another trust domain than `trust_domain`; kCorrupt,
// kSignature and the other codes of verification; kIo.
Result<Manifest> check_backup(const std::filesystem::path& folder,
                              const std::optional<std::string>& trust_domain, const Say& say);

// The part of it that does not compare files with the manifest.
Result<void> check_stores(const std::filesystem::path& folder, const Manifest& manifest,
                          const Say& say);

}  // namespace notp::backup
