#include "tools/bench/samples.hpp"

#include <algorithm>
#include <cmath>

namespace notp::bench {

double Samples::percentile(double percent) const {
  if (ms_.empty()) return 0;
  std::vector<double> sorted = ms_;
  std::ranges::sort(sorted);
  const double rank = std::ceil(percent * static_cast<double>(sorted.size()) / 100);
  return sorted[static_cast<size_t>(std::max(1.0, rank)) - 1];
}

json::object Samples::to_json() const {
  return {{"n", count()},
          {"p50_ms", p50()},
          {"p99_ms", p99()},
          {"min_ms", percentile(0)},
          {"max_ms", percentile(100)}};
}

}  // namespace notp::bench
