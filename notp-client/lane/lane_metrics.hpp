// The metrics of a node's token lane.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "notp-client/lane/host/lane_status.hpp"

namespace notp::lane {

// One thread at a time.
class LaneMetrics {
 public:
  LaneMetrics(prometheus::Registry& registry, const std::string& lane);
  void update(const LaneStatus& status);

 private:
  // A total that the status has.
  struct Total {
    prometheus::Counter& counter;
    uint64_t seen = 0;
    void advance(uint64_t total);
  };

  prometheus::Gauge &revision_, &acknowledged_, &state_, &heard_;
  prometheus::Gauge &tokens_, &tombstones_, &marks_, &lists_, &memory_, &held_;
  Total events_, statements_, refused_, asked_, unanswered_;
};

}  // namespace notp::lane
