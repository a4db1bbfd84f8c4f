// Reports of a campaign as text and JSON.
#pragma once

#include "common/json/json.hpp"
#include "tests/sim/program/campaign.hpp"

namespace notp::sim {

// "1200 of 50000 seeds, 11.3 a second, 0 with violations, 72 min left"
std::string progress_line(const Campaign& campaign, uint64_t seeds);

// A few lines, the violations first. `first`: its first seed.
std::string report_text(const Campaign& campaign, uint64_t first, uint64_t seeds);
json::object report_json(const Campaign& campaign, uint64_t first, uint64_t seeds);

}  // namespace notp::sim
