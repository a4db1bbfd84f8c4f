#include "common/rego/host/path_costs.hpp"

#include <algorithm>
#include <bit>

#include "common/limits.hpp"

namespace notp::rego {
namespace {

constexpr uint32_t kWindow = 64;
constexpr int kTimeoutCounts = 4;  // of 64, above 5 %
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
  remember(cost, each_ns > limits::kSlowEvaluationMs * kNanosecondsPerMs,
           each_ns > kHeavyEvaluationMs * kNanosecondsPerMs);
}

void PathCosts::timed_out(const std::string& path) {
  Cost& cost = cost_of(path);
  for (int i = 0; i < kTimeoutCounts; ++i) remember(cost, true, true);
}

const PathCosts::Cost* PathCosts::find(const std::string& path) const {
  const auto known = by_path_.find(path);
  return known == by_path_.end() ? nullptr : &*known->second;
}

bool PathCosts::is_often(uint64_t bits, const Cost& cost) {
  return static_cast<uint32_t>(std::popcount(bits)) * 20 > cost.evaluations;
}

bool PathCosts::takes_more(const Cost& cost, uint32_t inputs, int64_t than_ms) {
  return cost.mean_ns > static_cast<uint64_t>(than_ms) * kNanosecondsPerMs / std::max(inputs, 1U);
}

bool PathCosts::is_slow(const std::string& path, uint32_t inputs) const {
  const Cost* cost = find(path);
  return cost != nullptr && (is_often(cost->slow_bits, *cost) ||
                             (inputs > 1 && takes_more(*cost, inputs, limits::kSlowEvaluationMs)));
}

bool PathCosts::is_heavy(const std::string& path, uint32_t inputs) const {
  const Cost* cost = find(path);
  return cost != nullptr && (is_often(cost->heavy_bits, *cost) ||
                             (inputs > 1 && takes_more(*cost, inputs, kHeavyEvaluationMs)));
}

bool PathCosts::is_quick(const std::string& path, uint32_t inputs) const {
  const Cost* cost = find(path);
  return cost != nullptr && cost->evaluations > 0 &&
         !takes_more(*cost, inputs, limits::kQuickEvaluationMs);
}

}  // namespace notp::rego
