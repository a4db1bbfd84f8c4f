// What the log says of one source: each failure once while it lasts, and of what is refused by one
// rule a line each minute, since strangers may send it.
#pragma once

#include <map>
#include <string>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "notp-server/lane/intake.hpp"

namespace notp::lane_inputs {

// One thread at a time.
class PullLog {
 public:
  PullLog(std::string lane, std::string source)
      : lane_(std::move(lane)), source_(std::move(source)) {}

  // Something of the source was refused, or it could not be asked.
  void failed(const Error& error);
  void succeeded() { said_.clear(); }
  void state_is(lane::SourceState::State state, const std::string& message);

 private:
  const std::string lane_, source_;
  std::string said_;
  std::map<std::string, TimeMs, std::less<>> refused_;  // boot time of the last line, by rule
  lane::SourceState::State state_ = lane::SourceState::State::kLate;
};

}  // namespace notp::lane_inputs
