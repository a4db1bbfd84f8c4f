// Checks all of a ledger's repository, with what `git fsck` would find.
#pragma once

#include <filesystem>
#include <vector>

#include "notp-server/registry/registry.hpp"

namespace notp::registry {

// Reads all of a repository that nothing writes, and changes nothing: each object is what its name
// says, each release follows the one before it, and each content has the content root of its
// release. Signatures are not verified. From then on this process opens repositories of any user:
// not for a registry. Returns the releases, from v1 to the head. kCorrupt, kIo.
Result<std::vector<ReleaseInfo>> check_repository(const std::filesystem::path& folder,
                                                  const model::LedgerId& ledger);

}  // namespace notp::registry
