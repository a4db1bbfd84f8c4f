// Data roots of which no decision is given.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "notp-client/pdp/active_set.hpp"

namespace notp {

// The roots of denied ledgers that a PDP has not yet confirmed to have dropped. Immutable.
class WithheldRoots {
 public:
  // None.
  WithheldRoots() = default;
  // For a PDP that decides with `active` and should decide with `wanted` (null: nothing). A PDP
  // that has confirmed nothing yet (`active` is null) may still decide with what an earlier process
  // gave it.
  WithheldRoots(const ActiveSet* active, const ActiveSet* wanted);

  // Whether data.<path> is at, below or above one of them.
  bool cover(std::span<const std::string> path) const;

 private:
  std::vector<std::vector<std::string>> roots_;  // by segments
};

}  // namespace notp
