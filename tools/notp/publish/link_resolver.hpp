// Resolves symbolic links of a ModelSource, within the source only.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tools/notp/publish/model_scan.hpp"

namespace notp::cli {

inline constexpr std::string_view kLeadsNowhere = "leads nowhere";
inline constexpr size_t kLinkBytesMax = 4'096;  // as in Linux

// Lists each folder once. The source must outlive it.
class LinkResolver {
 public:
  explicit LinkResolver(ModelSource& source) : source_(source) {}

  struct Target {
    ModelSource::Kind kind = ModelSource::Kind::kOther;
    std::string path;   // in the source, with all links resolved
    std::string fault;  // why it does not resolve: "leads out of the folder"; empty: it does
  };
  // `path` is a link; the folders above it are not links.
  Result<Target> resolve(const std::string& path);
  // Sorted by name.
  Result<const std::vector<ModelSource::Entry>*> list(const std::string& folder);

 private:
  ModelSource& source_;
  std::map<std::string, std::vector<ModelSource::Entry>> folders_;
};

}  // namespace notp::cli
