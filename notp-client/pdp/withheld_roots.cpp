#include "notp-client/pdp/withheld_roots.hpp"

#include <algorithm>

#include "notp-client/pdp/data_path.hpp"

namespace notp::pdp {

WithheldRoots::WithheldRoots(const ActiveSet* active, const ActiveSet* wanted) {
  if (wanted == nullptr || (active != nullptr && !gives_denied(*active, *wanted))) return;
  for (const std::string& root : wanted->denied_roots()) roots_.push_back(path_segments(root));
}

bool WithheldRoots::cover(std::span<const std::string> path) const {
  return std::ranges::any_of(roots_, [&](const std::vector<std::string>& root) {
    const size_t common = std::min(root.size(), path.size());
    return std::equal(path.begin(), path.begin() + static_cast<ptrdiff_t>(common), root.begin());
  });
}

}  // namespace notp::pdp
