#include <algorithm>

#include "notp-client/pdp/pdp.hpp"

namespace notp {
namespace {

bool is_prefix(const std::vector<std::string>& front, const std::vector<std::string>& path) {
  return front.size() <= path.size() && std::equal(front.begin(), front.end(), path.begin());
}

}  // namespace

bool ActiveSet::withholds(const std::vector<std::string>& path) const {
  return std::ranges::any_of(withheld_roots, [&](const std::string& root) {
    const auto segments = path_segments(root);
    return is_prefix(segments, path) || is_prefix(path, segments);
  });
}

// A PDP that has said nothing yet may still decide with what an earlier process gave it.
ActiveSetPtr active_set(CompositionPtr active, const Composition* wanted) {
  auto set = std::make_shared<ActiveSet>();
  if (wanted != nullptr && (!active || gives_denied(*active, *wanted)))
    set->withheld_roots = wanted->denied_roots();
  set->composition = std::move(active);
  return set;
}

std::vector<std::string> path_segments(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    const std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), segment.size() + 1));
    if (!segment.empty()) segments.emplace_back(segment);
  }
  return segments;
}

}  // namespace notp
