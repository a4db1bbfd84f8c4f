// Data roots for which no decision is given.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "notp-client/pdp/active_set.hpp"

namespace notp::pdp {

// The roots of denied ledgers that a PDP has not yet confirmed to have dropped. Immutable.
class WithheldRoots {
 public:
  // Withholds nothing.
  WithheldRoots() = default;
  // For a PDP that decides with `active` and should decide with `wanted` (null: none). A PDP that
  // has not confirmed anything yet (`active` is null) may still decide with the set of an earlier
  // process.
  WithheldRoots(const ActiveSet* active, const ActiveSet* wanted);

  // Whether data.<path> is at, below or above one of them.
  bool cover(std::span<const std::string> path) const;

 private:
  std::vector<std::vector<std::string>> roots_;  // as segments
};

}  // namespace notp::pdp
