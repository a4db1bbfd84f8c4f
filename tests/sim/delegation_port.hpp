// What the parts of a world of delegations need of it: time, chance, the trace, the verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/random.hpp"

namespace notp::sim {

// One thread.
class DelegationPort {
 public:
  explicit DelegationPort(uint64_t seed) : random_(seed) {}
  virtual ~DelegationPort() = default;

  virtual TimeMs time_ms() const = 0;  // true wall time
  virtual void at(TimeMs delay_ms, std::function<void()> action) = 0;
  // Counts it, and adds it to the trace.
  virtual void note(std::string_view what, const std::string& detail = {}) = 0;
  virtual void violation(const std::string& text) = 0;
  // Whether faults happen now.
  virtual bool faulty() const = 0;

  SeededRandom& random() { return random_; }
  bool chance(uint64_t percent) { return random_.below(100) < percent; }
  bool fault(uint64_t percent) { return chance(percent) && faulty(); }
  TimeMs between(TimeMs low, TimeMs high) {
    return low + static_cast<TimeMs>(random_.below(static_cast<uint64_t>(high - low + 1)));
  }

 private:
  SeededRandom random_;
};

}  // namespace notp::sim
