// Millions of measured times in little memory: counts of buckets of 50 µs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/json/json.hpp"

namespace notp::bench {

class TimeCounts {
 public:
  // A time beyond the last bucket, 20 s, counts there.
  void add(double ms) {
    const auto bucket = static_cast<size_t>(std::max(ms, 0.0) / kBucketMs);
    ++counts_[std::min(bucket, counts_.size() - 1)];
    ++total_;
    max_ms_ = std::max(max_ms_, ms);
  }
  uint64_t count() const { return total_; }
  // The end of the bucket with the smallest time that at least `percent` % of all do not exceed; 0
  // without times.
  double percentile(double percent) const {
    const double wanted = percent / 100 * static_cast<double>(total_);
    double seen = 0;
    for (size_t bucket = 0; bucket < counts_.size(); ++bucket) {
      seen += static_cast<double>(counts_[bucket]);
      if (seen > 0 && seen >= wanted) return static_cast<double>(bucket + 1) * kBucketMs;
    }
    return 0;
  }
  double p50() const { return percentile(50); }
  double p99() const { return percentile(99); }
  double max() const { return max_ms_; }
  // {"n", "p50_ms", "p99_ms", "max_ms"}
  json::object to_json() const {
    return {{"n", total_}, {"p50_ms", p50()}, {"p99_ms", p99()}, {"max_ms", max_ms_}};
  }

 private:
  static constexpr double kBucketMs = 0.05;
  static constexpr size_t kBuckets = 400'000;
  std::vector<uint64_t> counts_ = std::vector<uint64_t>(kBuckets);
  uint64_t total_ = 0;
  double max_ms_ = 0;
};

}  // namespace notp::bench
