// The section `lane` of the agent's configuration.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <vector>

#include "common/config_section.hpp"
#include "notp-client/lane/core/lane_core.hpp"

namespace notp::lane {

struct LaneConfig {
  LaneOptions lane;
  std::filesystem::path key;  // seals tokens that are kept; empty: none are
  // Of LaneMode::kAsk: JSON pointers (RFC 6901) into an input, whose token is asked for before the
  // decision; and how long that may take.
  std::vector<std::string> asked_tokens;
  std::chrono::milliseconds ask_wait{0};
  // Further places of an input at which a token is recorded as its id.
  std::vector<std::string> tokens_in_input;

  // Both: what no record of a decision has.
  std::vector<std::string> all_tokens() const;
};

// Reads the whole configuration. nullopt: there is no lane. kConfig.
Result<std::optional<LaneConfig>> load_lane(const config::Section& root);

}  // namespace notp::lane
