// Records the costs of a path's evaluations, which decide its lane.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

namespace notp::rego {

// Above it a path is heavy: its evaluations take processors from questions of microseconds.
inline constexpr int64_t kHeavyEvaluationMs = 5;

// Pure. Bounded by kPathsKnownMax: paths come from callers, and the least recently used one is
// dropped.
class PathCosts {
 public:
  // `evaluation_ns`: processor time for all of its inputs.
  void evaluated(const std::string& path, uint64_t evaluation_ns, uint32_t inputs);
  // It timed out: counts as several slow evaluations.
  void timed_out(const std::string& path);

  // Whether the 95th percentile of its last 64 evaluations, for one input each, is above
  // kSlowEvaluationMs, or so many inputs are likely to take longer.
  bool is_slow(const std::string& path, uint32_t inputs) const;
  // The same for kHeavyEvaluationMs: it should not run beside others.
  bool is_heavy(const std::string& path, uint32_t inputs) const;
  // Whether so many inputs of it are likely to take at most kQuickEvaluationMs.
  bool is_quick(const std::string& path, uint32_t inputs) const;

 private:
  struct Cost {
    std::string path;
    uint64_t slow_bits = 0, heavy_bits = 0;  // one for each of the last evaluations
    uint32_t evaluations = 0;
    uint64_t mean_ns = 0;  // for one input; the newest have the most weight
  };
  using Costs = std::list<Cost>;

  Cost& cost_of(const std::string& path);
  static void remember(Cost& cost, bool slow, bool heavy);
  const Cost* find(const std::string& path) const;  // null: unknown
  static bool is_often(uint64_t bits, const Cost& cost);
  static bool takes_more(const Cost& cost, uint32_t inputs, int64_t than_ms);

  Costs costs_;  // most recently used first
  std::unordered_map<std::string, Costs::iterator> by_path_;
};

}  // namespace notp::rego
