#include "tests/sim/program/campaign.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

namespace notp::sim {
namespace {

using std::chrono::steady_clock;

class Runner {
 public:
  Runner(const CampaignOptions& options, const std::stop_token& stop,
         const std::function<void(const Campaign&)>& on_progress)
      : options_(options), stop_(stop), on_progress_(on_progress) {}

  Campaign run() {
    {
      std::vector<std::jthread> threads;
      for (unsigned i = 1; i < options_.jobs; ++i) threads.emplace_back([this] { take_seeds(); });
      take_seeds();
    }
    return std::move(campaign_);
  }

 private:
  void take_seeds() {
    while (!stop_.stop_requested()) {
      const uint64_t index = next_.fetch_add(1);
      if (index >= options_.seeds) return;
      WorldOptions world = options_.world;
      world.seed += index;
      add(world.seed, run_world(world));
    }
  }

  void add(uint64_t seed, Verdict verdict) {
    const std::scoped_lock lock(mutex_);
    campaign_.total += verdict;
    if (options_.seeds == 1) campaign_.total.trace_hash = verdict.trace_hash;
    if (!verdict.violations.empty()) campaign_.red.emplace(seed, std::move(verdict.violations));
    ++campaign_.done;
    campaign_.seconds = std::chrono::duration<double>(steady_clock::now() - began_).count();
    on_progress_(campaign_);
  }

  const CampaignOptions& options_;
  const std::stop_token& stop_;
  const std::function<void(const Campaign&)>& on_progress_;
  const steady_clock::time_point began_ = steady_clock::now();
  std::atomic<uint64_t> next_ = 0;
  std::mutex mutex_;
  Campaign campaign_;
};

}  // namespace

Campaign run_campaign(const CampaignOptions& options, const std::stop_token& stop,
                      const std::function<void(const Campaign&)>& on_progress) {
  return Runner(options, stop, on_progress).run();
}

}  // namespace notp::sim
