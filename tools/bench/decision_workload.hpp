// The decisions that the spool is asked to record, made before a clock starts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "notp-client/spool/decision_log.hpp"
#include "tests/support/decision_records.hpp"

namespace notp::bench {

inline constexpr const char* kBenchDomain = "core-platform.internal";
inline constexpr const char* kBenchNode = "spiffe://core-platform.internal/node/bench";

// Immutable: any number of threads.
class DecisionWorkload {
 public:
  explicit DecisionWorkload(uint64_t seed)
      : active_(std::make_shared<const record::ActiveSet>(samples::active_set())) {
    constexpr uint64_t kDistinct = 4'096;
    contents_.reserve(kDistinct);
    for (uint64_t i = 0; i < kDistinct; ++i) {
      contents_.push_back(samples::decision(seed, i));
      encoded_bytes_ += record::encode(record(i)).size();
    }
  }

  const spool::ActiveSetPtr& active() const { return active_; }
  const std::vector<record::DecisionContent>& contents() const { return contents_; }
  // Of a record, encoded: the mean.
  double record_bytes() const {
    return static_cast<double>(encoded_bytes_) / static_cast<double>(contents_.size());
  }
  record::Record record(uint64_t i) const {
    return {{i, 1, 1}, samples::decision_time_ns(i), contents_[i % contents_.size()]};
  }
  spool::Entry entry(uint64_t i, spool::Durability durability) const {
    return {.time_ns = samples::decision_time_ns(i),
            .content = contents_[i % contents_.size()],
            .active = active_,
            .durability = durability};
  }

 private:
  spool::ActiveSetPtr active_;
  std::vector<record::DecisionContent> contents_;
  size_t encoded_bytes_ = 0;
};

}  // namespace notp::bench
