// The target of a figure, printed beside the figure and its control.
#pragma once

#include <string>
#include <vector>

#include "common/json/json.hpp"

namespace notp::bench {

struct Target {
  std::string what;  // the figure, with its unit
  double figure = 0;
  double bound = 0;          // met: the figure is at most this
  std::string control_name;  // empty: there is none
  double control = 0;        // in the figure's unit
  bool at_least = false;     // met: the figure is at least the bound

  bool met() const { return at_least ? figure >= bound : figure <= bound; }
};

// One line each. Without targets, `reason` says why: a smaller workload has none.
std::string targets_table(const std::vector<Target>& targets, const std::string& reason);
// [{"what", "figure", "target", "at_least", "met", "control", "control_name"}]
json::array targets_json(const std::vector<Target>& targets);
std::string met_text(bool met);

}  // namespace notp::bench
