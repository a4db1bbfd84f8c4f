#include "notp-client/agent/core/retention.hpp"

#include <algorithm>

#include "common/assert.hpp"

namespace notp::agent {

std::set<uint64_t> versions_to_keep(const std::vector<store::StoredRelease>& releases,
                                    const RetentionRequest& request) {
  NOTP_ASSERT(request.releases_max >= 2, "the new release and the last good one always stay");
  const auto is_older = [&](const store::StoredRelease& r) {
    return r.ref.version != request.installed;
  };
  std::set<uint64_t> kept;
  for (const store::StoredRelease& release : releases)
    if (is_older(release) && request.in_use.contains(release.ref.version))
      kept.insert(release.ref.version);
  const auto good = std::ranges::find_if(releases, [&](const store::StoredRelease& r) {
    return is_older(r) && (r.confirmed || request.confirmed == r.ref.version) && !r.quarantined;
  });
  if (good != releases.end()) kept.insert(good->ref.version);
  for (const store::StoredRelease& release : releases) {
    if (kept.size() + 1 >= request.releases_max) break;
    if (is_older(release)) kept.insert(release.ref.version);
  }
  return kept;
}

}  // namespace notp::agent
