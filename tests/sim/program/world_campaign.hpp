// Many worlds of one kind, on several threads. A verdict has violations, a trace hash, events,
// counts, kills() and +=.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "common/json/json.hpp"

namespace notp::sim {

template <typename Verdict>
struct WorldCampaign {
  Verdict total;  // counts only; for one seed its trace hash, too
  uint64_t done = 0;
  double seconds = 0;
  std::map<uint64_t, std::vector<std::string>> red;  // violations by seed
};

// Runs `seeds` worlds, the first one with the seed of `world`, on `jobs` threads.
template <typename Verdict, typename Options>
WorldCampaign<Verdict> run_worlds(Verdict (&run)(const Options&), const Options& world,
                                  uint64_t seeds, unsigned jobs, const std::stop_token& stop) {
  using std::chrono::steady_clock;
  const auto began = steady_clock::now();
  WorldCampaign<Verdict> campaign;
  std::mutex mutex;
  std::atomic<uint64_t> next = 0;
  const auto take_seeds = [&] {
    for (uint64_t index = next++; index < seeds && !stop.stop_requested(); index = next++) {
      Options options = world;
      options.seed += index;
      Verdict verdict = run(options);
      const std::scoped_lock lock(mutex);
      campaign.total += verdict;
      if (seeds == 1) campaign.total.trace_hash = verdict.trace_hash;
      if (!verdict.violations.empty())
        campaign.red.emplace(options.seed, std::move(verdict.violations));
      ++campaign.done;
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < jobs; ++i) threads.emplace_back(take_seeds);
    take_seeds();
  }
  campaign.seconds = std::chrono::duration<double>(steady_clock::now() - began).count();
  return campaign;
}

template <typename Verdict>
std::string report_text(const WorldCampaign<Verdict>& campaign, uint64_t first, uint64_t seeds) {
  std::string text;
  for (const auto& [seed, violations] : campaign.red)
    for (const std::string& violation : violations) text += violation + "\n";
  if (seeds == 1) text += fmt::format("trace hash {}\n", campaign.total.trace_hash.hex());
  text += fmt::format("{} seeds from {}: {} events, {} kills, {} seeds with violations\n",
                      campaign.done, first, campaign.total.events, campaign.total.kills(),
                      campaign.red.size());
  if (campaign.done < seeds) text += fmt::format("  interrupted: {} seeds were asked for\n", seeds);
  for (const auto& [name, count] : campaign.total.counts)
    text += fmt::format("  {} {}\n", count, name);
  return text + fmt::format("  {:.1f} s\n", campaign.seconds);
}

template <typename Verdict>
json::object report_json(const WorldCampaign<Verdict>& campaign, uint64_t first, uint64_t seeds) {
  json::object red, counts;
  for (const auto& [seed, violations] : campaign.red)
    red[std::to_string(seed)] = json::array(violations.begin(), violations.end());
  for (const auto& [name, count] : campaign.total.counts) counts[name] = count;
  json::object document{{"first_seed", first},
                        {"seeds", seeds},
                        {"done", campaign.done},
                        {"seconds", campaign.seconds},
                        {"violations", std::move(red)},
                        {"events", campaign.total.events},
                        {"kills", campaign.total.kills()},
                        {"counts", std::move(counts)}};
  if (seeds == 1) document["trace_hash"] = campaign.total.trace_hash.hex();
  return document;
}

}  // namespace notp::sim
