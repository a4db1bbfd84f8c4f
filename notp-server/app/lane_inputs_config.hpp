// What the inputs of the token lanes read of the section `lanes`.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config_section.hpp"
#include "common/http/listen_config.hpp"
#include "notp-server/lane_inputs/source_config.hpp"

namespace notp::server {

struct LaneInputsConfig {
  std::optional<http::ListenConfig> listen;
  std::map<std::string, std::vector<lane_inputs::SourceConfig>> sources;  // by lane

  // That the listener reads, for a watch.
  std::vector<std::filesystem::path> files() const;
};

// kConfig: what lane_inputs refuses, two sources of one name in a lane. Nothing without the
// section.
Result<LaneInputsConfig> load_lane_inputs(const config::Section& root,
                                          std::string_view trust_domain);

}  // namespace notp::server
