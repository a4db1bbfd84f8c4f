// Many worlds of token lanes on several threads.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "tests/sim/lane_world.hpp"

namespace notp::sim {

struct LaneCampaign {
  LaneVerdict total;  // counts only; for one seed its trace hash, too
  uint64_t done = 0;
  double seconds = 0;
  std::map<uint64_t, std::vector<std::string>> red;  // violations by seed
};

// Runs `seeds` worlds, the first one with the seed of `world`, on `jobs` threads.
LaneCampaign run_lane_campaign(const LaneWorldOptions& world, uint64_t seeds, unsigned jobs,
                               const std::stop_token& stop);

std::string report_text(const LaneCampaign& campaign, uint64_t first, uint64_t seeds);
json::object report_json(const LaneCampaign& campaign, uint64_t first, uint64_t seeds);

}  // namespace notp::sim
