#include "protocol/model/roots.hpp"

#include <algorithm>

namespace notp::model {
namespace {

bool starts_with(const DataPath& path, const DataPath& front) {
  return front.size() <= path.size() && std::equal(front.begin(), front.end(), path.begin());
}

}  // namespace

DataRoots::DataRoots(const std::vector<std::string>& roots) {
  for (const std::string& root : roots) roots_.push_back(data_path_of(root + "/"));
}

bool DataRoots::contain(const DataPath& path) const {
  return std::ranges::any_of(roots_, [&](const DataPath& root) { return starts_with(path, root); });
}

bool DataRoots::lie_below(const DataPath& path) const {
  return std::ranges::any_of(roots_, [&](const DataPath& root) { return starts_with(root, path); });
}

std::optional<DataPath> DataRoots::outside(DataPath at, const json::value& document) const {
  if (find_outside(at, document)) return at;
  return std::nullopt;
}

// Leaves the place in `at`. A root has fewer segments than a document may have levels, so it ends.
bool DataRoots::find_outside(DataPath& at, const json::value& value) const {
  if (contain(at)) return false;
  if (!value.is_object() || !lie_below(at)) return true;
  for (const auto& [name, member] : value.get_object()) {
    at.emplace_back(name);
    if (find_outside(at, member)) return true;
    at.pop_back();
  }
  return false;
}

}  // namespace notp::model
