// Runs many worlds on several threads and adds up their verdicts.
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
  uint64_t seeds = 1;  // consecutive
  unsigned jobs = 1;   // threads, at least 1
};

struct Campaign {
  Verdict total;  // counts only; for one seed its trace hash, too
  uint64_t done = 0;
  double seconds = 0;
  std::map<uint64_t, std::vector<std::string>> red;  // violations by seed
};

// Runs the worlds; a stop lets running worlds finish. `on_progress` is called after each world, by
// the thread that ran it, one at a time. Which seeds are done at a stop depends on the threads; the
// result of each seed does not.
Campaign run_campaign(const CampaignOptions& options, const std::stop_token& stop,
                      const std::function<void(const Campaign&)>& on_progress);

}  // namespace notp::sim
