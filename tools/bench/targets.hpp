// What a figure is to reach, printed beside the figure and beside its control.
#pragma once

#include <string>
#include <vector>

#include "common/json/json.hpp"

namespace notp::bench {

struct Target {
  std::string what;  // the figure, with its unit
  double figure = 0;
  double bound = 0;          // met: no more than this
  std::string control_name;  // empty: there is none
  double control = 0;        // in the figure's unit
  bool at_least = false;     // met: no less than the bound, instead

  bool met() const { return at_least ? figure >= bound : figure <= bound; }
};

// One line each. Without targets `reason` says why: a smaller workload has none of its own.
std::string targets_table(const std::vector<Target>& targets, const std::string& reason);
// [{"what", "figure", "target", "at_least", "met", "control", "control_name"}]
json::array targets_json(const std::vector<Target>& targets);
std::string met_text(bool met);

}  // namespace notp::bench
