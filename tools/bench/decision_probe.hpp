// Asks a PDP for one rule repeatedly over a kept connection, to determine when a change is active.
// The same for every PDP with OPA's data API.
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace notp::bench {

// One thread at a time.
class DecisionProbe {
 public:
  // `path` below /v1/data.
  static Result<std::unique_ptr<DecisionProbe>> connect(uint16_t port, const std::string& path);
  ~DecisionProbe();

  // Returns when the first answer with this number arrived. Asks some thousand times a second, so
  // the result is late by at most that interval, and never early. kTimeout, also when the caller
  // stops it; kUnavailable.
  Result<std::chrono::steady_clock::time_point> await(int64_t number, TimeMs patience_ms,
                                                      std::stop_token stop = {});

 private:
  struct State;
  explicit DecisionProbe(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace notp::bench
