#include "common/rego/host/path_costs.hpp"

#include <algorithm>
#include <bit>

#include "common/limits.hpp"

namespace notp::rego {
namespace {

constexpr uint32_t kWindow = 64;
constexpr int kTimeoutCounts = 4;  // so many slow ones of 64 are above 5 %
constexpr uint64_t kNanosecondsPerMs = 1'000'000;

}  // namespace

PathCosts::Cost& PathCosts::cost_of(const std::string& path) {
  const auto known = by_path_.find(path);
  if (known != by_path_.end()) {
    costs_.splice(costs_.begin(), costs_, known->second);
    return costs_.front();
  }
  if (costs_.size() >= limits::kPathsKnownMax) {
    by_path_.erase(costs_.back().path);
    costs_.pop_back();
  }
  costs_.push_front({path});
  by_path_.emplace(path, costs_.begin());
  return costs_.front();
}

void PathCosts::remember(Cost& cost, bool slow, bool heavy) {
  cost.slow_bits = (cost.slow_bits << 1) | (slow ? 1 : 0);
  cost.heavy_bits = (cost.heavy_bits << 1) | (heavy ? 1 : 0);
  cost.evaluations = std::min(cost.evaluations + 1, kWindow);
}

void PathCosts::evaluated(const std::string& path, uint64_t evaluation_ns, uint32_t inputs) {
  Cost& cost = cost_of(path);
  const uint64_t each_ns = evaluation_ns / std::max(inputs, 1U);
  cost.mean_ns = cost.evaluations == 0 ? each_ns : (cost.mean_ns / 8) * 7 + each_ns / 8;
  remember(cost, evaluation_ns > limits::kSlowEvaluationMs * kNanosecondsPerMs,
           evaluation_ns > kHeavyEvaluationMs * kNanosecondsPerMs);
}

void PathCosts::timed_out(const std::string& path) {
  Cost& cost = cost_of(path);
  for (int i = 0; i < kTimeoutCounts; ++i) remember(cost, true, true);
}

bool PathCosts::is_often(uint64_t Cost::* bits, const std::string& path) const {
  const auto known = by_path_.find(path);
  if (known == by_path_.end()) return false;
  const Cost& cost = *known->second;
  return static_cast<uint32_t>(std::popcount(cost.*bits)) * 20 > cost.evaluations;
}

bool PathCosts::is_slow(const std::string& path) const { return is_often(&Cost::slow_bits, path); }

bool PathCosts::is_heavy(const std::string& path) const {
  return is_often(&Cost::heavy_bits, path);
}

bool PathCosts::is_quick(const std::string& path, uint32_t inputs) const {
  const auto known = by_path_.find(path);
  return known != by_path_.end() && known->second->evaluations > 0 &&
         known->second->mean_ns <=
             limits::kQuickEvaluationMs * kNanosecondsPerMs / std::max(inputs, 1U);
}

}  // namespace notp::rego
