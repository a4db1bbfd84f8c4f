// The section `lanes` of the registry's configuration, without what the lanes' sources read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config_section.hpp"
#include "common/crypto/signature.hpp"
#include "notp-server/lane/grants.hpp"
#include "notp-server/lane/intake_rules.hpp"
#include "protocol/feed/lane_statement.hpp"

namespace notp::lane {

struct RegistryLaneConfig {
  std::string name;
  feed::LaneTerms terms;
  RuleTerms rules;
  std::vector<Grant> grants;  // in their order: the first that covers a node counts
  uint64_t source_rate = 0;   // events a second of each source
};

struct LanesConfig {
  std::filesystem::path key;              // signs statements: the root's lane_key
  std::vector<RegistryLaneConfig> lanes;  // at least one, each name once
};

// kConfig: two lanes of one name, a grant that asks for what the lane does not keep, patterns of
// another trust domain. nullopt: there is no such section.
Result<std::optional<LanesConfig>> load_lanes(const config::Section& root,
                                              std::string_view trust_domain);

// kConfig, kIo: it cannot be read.
Result<PrivateKey> read_lane_key(const std::filesystem::path& file);

}  // namespace notp::lane
