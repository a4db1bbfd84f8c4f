// Which stored releases of a ledger stay when a new one is installed. This is the only place that
// decides it: the store drops what an InstallRecord does not keep.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "notp-client/store/store.hpp"

namespace notp {

struct RetentionRequest {
  uint64_t installed = 0;             // the new version
  std::set<uint64_t> in_use;          // what the PDP decides with, or was asked to decide with
  std::optional<uint64_t> confirmed;  // becomes confirmed with the installation
  size_t releases_max = 0;            // of the ledger, the new one included; 2 or more
};

// The older versions that stay: what is in use and the last good release (confirmed and not
// quarantined), however old, then the newest. `releases_max` bounds all of them together, unless
// what must stay is more. `releases`: newest first.
std::set<uint64_t> versions_to_keep(const std::vector<StoredRelease>& releases,
                                    const RetentionRequest& request);

}  // namespace notp
