#include "protocol/model/clash.hpp"

#include <fmt/format.h>

#include <unordered_map>

#include "protocol/model/path.hpp"

namespace notp::model {
namespace {

class ClashFinder {
 public:
  explicit ClashFinder(const Files& files) : files_(files) {}

  std::vector<PathClash> run() {
    std::vector<PathClash> clashes;
    for (const auto& [path, entry] : files_)
      if (PathClash clash = check(path); !clash.rule.empty()) clashes.push_back(std::move(clash));
    return clashes;
  }

 private:
  PathClash check(const std::string& path) {
    // Neighbours share their folders; those were checked with the previous path.
    const size_t known = path.compare(0, folder_.size(), folder_) == 0 ? folder_.size() : 0;
    for (size_t slash = path.find('/', known); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      const std::string folder = path.substr(0, slash);
      if (files_.contains(folder))
        return {path, "path-file-and-folder",
                fmt::format("\"{}\" is a file, and \"{}\" makes it a folder", folder, path)};
      if (const std::string& twin = remember(folder); twin != folder)
        return {path, "path-twin",
                fmt::format("\"{}\" and \"{}\" (a folder) are one name where case or Unicode forms "
                            "do not count",
                            twin, folder)};
    }
    folder_ = path.substr(0, path.rfind('/') + 1);
    if (const std::string& twin = remember(path); twin != path)
      return {path, "path-twin",
              fmt::format("\"{}\" and \"{}\" are one name where case or Unicode forms do not count",
                          twin, path)};
    return {};
  }

  // Returns the first path seen with the same fold.
  const std::string& remember(const std::string& path) {
    return by_fold_.try_emplace(fold_path(path), path).first->second;
  }

  const Files& files_;
  std::unordered_map<std::string, std::string> by_fold_;
  std::string folder_;  // with its '/', for the last path without a clash
};

}  // namespace

std::vector<PathClash> find_clashes(const Files& files) { return ClashFinder(files).run(); }

}  // namespace notp::model
