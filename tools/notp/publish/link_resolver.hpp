// Symbolic links of a ModelSource, followed inside it alone.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tools/notp/publish/model_scan.hpp"

namespace notp {

inline constexpr std::string_view kLeadsNowhere = "leads nowhere";
inline constexpr size_t kLinkBytesMax = 4'096;  // as Linux has it

// Lists each folder once. Lives as long as the source.
class LinkResolver {
 public:
  explicit LinkResolver(ModelSource& source) : source_(source) {}

  struct Target {
    ModelSource::Kind kind = ModelSource::Kind::kOther;
    std::string path;   // in the source, without links on the way
    std::string fault;  // why there is none: "leads out of the folder"; empty: there is one
  };
  // `path` is a link in folders that are none.
  Result<Target> resolve(const std::string& path);
  // Sorted by name.
  Result<const std::vector<ModelSource::Entry>*> list(const std::string& folder);

 private:
  ModelSource& source_;
  std::map<std::string, std::vector<ModelSource::Entry>> folders_;
};

}  // namespace notp
