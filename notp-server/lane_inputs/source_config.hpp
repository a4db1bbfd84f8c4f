// The sources of a lane in the registry's configuration, schemas/config/lane_source.schema.json.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/config_section.hpp"
#include "common/result.hpp"

namespace notp::lane_inputs {

// What one kind of source reads of its entry. Each kind derives its terms.
struct KindTerms {
  virtual ~KindTerms() = default;
  // Issuers whose keys it needs: each is to be one of sources.issuers.
  virtual std::vector<std::string> issuers() const { return {}; }
};

// One entry of a lane's `sources`. Cheap to copy.
struct SourceConfig {
  std::string name;  // unique in its lane
  std::string kind;
  std::shared_ptr<const KindTerms> terms;
};

// Reads an entry that is valid by the schema. kConfig: a kind that this build does not have, a key
// that the kind needs is missing or is one of another kind, a value that it cannot use.
Result<SourceConfig> load_source(const config::Section& section, std::string_view trust_domain);

}  // namespace notp::lane_inputs
