// Queues the reports of a PDP for a test to wait for.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>

#include "notp-client/pdp/pdp.hpp"

namespace notp {

// Thread-safe.
class ReportQueue {
 public:
  pdp::PdpReport sink() {
    return [this](pdp::PdpOutcome outcome) {
      const std::lock_guard guard(mutex_);
      outcomes_.push_back(std::move(outcome));
      arrived_.notify_all();
    };
  }
  // The next report; nullopt when none arrives within `patience`.
  std::optional<pdp::PdpOutcome> next(
      std::chrono::milliseconds patience = std::chrono::seconds(60)) {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_for(lock, patience, [this] { return !outcomes_.empty(); }))
      return std::nullopt;
    pdp::PdpOutcome outcome = std::move(outcomes_.front());
    outcomes_.pop_front();
    return outcome;
  }
  bool empty() {
    const std::lock_guard guard(mutex_);
    return outcomes_.empty();
  }

 private:
  std::mutex mutex_;  // guards the members below
  std::condition_variable arrived_;
  std::deque<pdp::PdpOutcome> outcomes_;
};

}  // namespace notp
