// Measured times and their statistics.
#pragma once

#include <chrono>
#include <vector>

#include "common/json/json.hpp"

namespace notp::bench {

inline double ms_between(std::chrono::steady_clock::time_point from,
                         std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

class Samples {
 public:
  void add(double ms) { ms_.push_back(ms); }
  void add(const Samples& other) { ms_.insert(ms_.end(), other.ms_.begin(), other.ms_.end()); }
  size_t count() const { return ms_.size(); }
  // The smallest sample that at least `percent` % of all samples do not exceed; 0 without samples.
  double percentile(double percent) const;
  double p50() const { return percentile(50); }
  double p99() const { return percentile(99); }

  // {"n", "p50_ms", "p99_ms", "min_ms", "max_ms"}
  json::object to_json() const;

 private:
  std::vector<double> ms_;
};

}  // namespace notp::bench
