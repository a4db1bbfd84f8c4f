// Keys that an issuer may have published after this registry last looked. A core.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"

namespace notp::lane_inputs {

// One thread at a time.
class KeyWaits {
 public:
  // Whether an event with this kid is to be asked for again rather than refused: for kUnknownKeyMs
  // from the first time that it was met. At most kUnknownKeysMax are known, of which the oldest
  // goes first.
  bool is_worth_waiting(std::string_view kid, TimeMs boot_ms);

 private:
  struct Seen {
    std::string kid;
    TimeMs first_ms = 0;
  };
  std::vector<Seen> seen_;  // by age
};

}  // namespace notp::lane_inputs
