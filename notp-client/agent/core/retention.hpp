// Decides which stored releases of a ledger stay when a new one is installed. The decision is made
// only here: the store drops what an InstallRecord does not keep.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "notp-client/store/store.hpp"

namespace notp::agent {

struct RetentionRequest {
  uint64_t installed = 0;             // the new version
  std::set<uint64_t> in_use;          // versions that the PDP decides with or was asked to
  std::optional<uint64_t> confirmed;  // marked as confirmed with the installation
  size_t releases_max = 0;            // per ledger, including the new one; at least 2
};

// Returns the older versions that stay: those in use and the last good release (confirmed and not
// quarantined), however old, then the newest. `releases_max` bounds the total, unless more must
// stay. `releases`: newest first.
std::set<uint64_t> versions_to_keep(const std::vector<store::StoredRelease>& releases,
                                    const RetentionRequest& request);

}  // namespace notp::agent
