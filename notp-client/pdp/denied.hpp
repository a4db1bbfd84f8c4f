// Ledgers that must not be decided with: what stays of them, and what is answered until the PDP has
// let them go.
#pragma once

#include <mutex>

#include "notp-client/pdp/pdp.hpp"

namespace notp {

// The policies that stand in for those of denied ledgers, by path in the layout: functions that
// other ledgers call, undefined for every argument, without which the callers would not compile
// and the PDP would go on deciding with what is denied. Loads nothing when nothing is denied or
// nothing else is left. Slow otherwise: all policies are parsed. Errors of `load`.
Result<std::map<std::string, Bytes>> stand_ins(const Composition& composition,
                                               const BlobLoader& load);

// From the word that a ledger is denied to the PDP's word that it is, nothing of the ledger is
// answered, however long the PDP takes and even if it fails. Thread-safe.
class DenialGuard {
 public:
  void wanted(CompositionPtr composition);
  void decides_with(CompositionPtr composition);
  // Whether data.<path> is at, below or above the roots of a ledger that is on its way out.
  bool withholds(std::string_view path) const;

 private:
  void look_again();

  mutable std::mutex mutex_;  // guards what follows
  CompositionPtr wanted_;
  CompositionPtr active_;
  std::vector<std::string> roots_;
};

}  // namespace notp
