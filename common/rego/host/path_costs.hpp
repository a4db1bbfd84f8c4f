// What evaluations of a path have cost so far: which lane it takes.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

namespace notp::rego {

// Above it a path is heavy: its evaluations keep processors from questions that take microseconds.
inline constexpr int64_t kHeavyEvaluationMs = 5;

// Pure. Bounded by kPathsKnownMax: paths come from callers, and the one asked longest ago is
// forgotten.
class PathCosts {
 public:
  // `evaluation_ns`: of processor time, for all of its inputs.
  void evaluated(const std::string& path, uint64_t evaluation_ns, uint32_t inputs);
  // It did not end in time: as if several evaluations had been slow.
  void timed_out(const std::string& path);

  // The 95th percentile of its last 64 evaluations, for one input each, is above kSlowEvaluationMs,
  // or so many inputs are likely to take longer.
  bool is_slow(const std::string& path, uint32_t inputs) const;
  // The same of kHeavyEvaluationMs: with others it is out of place.
  bool is_heavy(const std::string& path, uint32_t inputs) const;
  // So many inputs of it are likely to take at most kQuickEvaluationMs.
  bool is_quick(const std::string& path, uint32_t inputs) const;

 private:
  struct Cost {
    std::string path;
    uint64_t slow_bits = 0, heavy_bits = 0;  // one for each of the last evaluations
    uint32_t evaluations = 0;
    uint64_t mean_ns = 0;  // of one input, the newest weigh most
  };
  using Costs = std::list<Cost>;

  Cost& cost_of(const std::string& path);
  static void remember(Cost& cost, bool slow, bool heavy);
  const Cost* find(const std::string& path) const;  // null: unknown
  static bool is_often(uint64_t bits, const Cost& cost);
  static bool takes_more(const Cost& cost, uint32_t inputs, int64_t than_ms);

  Costs costs_;  // the one asked last is first
  std::unordered_map<std::string, Costs::iterator> by_path_;
};

}  // namespace notp::rego
