// What the parts of a world of token lanes need of it: time, chance, the trace, the verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/random.hpp"

namespace notp::sim {

using Action = std::function<void()>;

inline constexpr std::string_view kLaneDomain = "core-platform.internal";
inline constexpr std::string_view kLane = "login";
inline constexpr TimeMs kLaneWallStartMs = 1'790'000'000'000;
inline constexpr size_t kRegistry = SIZE_MAX;  // as a node of the trace

// One thread.
class LanePort {
 public:
  explicit LanePort(uint64_t seed) : random_(seed) {}
  virtual ~LanePort() = default;

  virtual TimeMs time_ms() const = 0;
  virtual void at(TimeMs delay_ms, Action action) = 0;
  virtual void note(std::string_view what, size_t node, const std::string& detail = {}) = 0;
  virtual void violation(size_t node, const std::string& text) = 0;
  // Whether faults happen now.
  virtual bool faulty() const = 0;

  SeededRandom& random() { return random_; }
  bool chance(uint64_t one_in) { return random_.below(one_in) == 0; }
  TimeMs between(TimeMs low, TimeMs high) {
    return low + static_cast<TimeMs>(random_.below(static_cast<uint64_t>(high - low + 1)));
  }

 private:
  SeededRandom random_;
};

}  // namespace notp::sim
