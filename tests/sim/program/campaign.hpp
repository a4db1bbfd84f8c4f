// Many worlds on several threads, and the sum of what they were.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>

#include "tests/sim/world.hpp"

namespace notp::sim {

struct CampaignOptions {
  WorldOptions world;  // its seed is the first one
  uint64_t seeds = 1;  // one after the other
  unsigned jobs = 1;   // threads, at least 1
};

struct Campaign {
  Verdict total;  // counts alone; of one seed its trace hash, too
  uint64_t done = 0;
  double seconds = 0;
  std::map<uint64_t, std::vector<std::string>> red;  // violations by seed
};

// Runs them; a stop lets the worlds under way come to their end. `on_progress` is called after each
// world, by the thread that ran it, one at a time. Which seeds are done when it is stopped depends
// on the threads; what each of them was does not.
Campaign run_campaign(const CampaignOptions& options, const std::stop_token& stop,
                      const std::function<void(const Campaign&)>& on_progress);

}  // namespace notp::sim
