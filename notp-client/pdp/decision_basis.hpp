// The basis of decisions at one moment, and how it changes.
#pragma once

#include "common/atomic_shared.hpp"
#include "notp-client/pdp/withheld_roots.hpp"

namespace notp::pdp {

// Immutable.
struct DecisionBasis {
  ActiveSetPtr active;     // confirmed by the PDP; null: none yet
  WithheldRoots withheld;  // nothing at, below or above these may be answered
};
using DecisionBasisPtr = std::shared_ptr<const DecisionBasis>;

// The basis of one PDP: one object behind one pointer, which is replaced as a whole. get() from any
// thread, without a lock; the rest on the agent's executor.
//
// From want() of a set that denies a ledger until confirm() of a set that no longer gives decisions
// of it, the roots of that ledger are withheld, however long the PDP takes and even if it fails.
class CurrentBasis {
 public:
  DecisionBasisPtr get() const { return basis_.get(); }

  // The PDP should decide with this set.
  void want(ActiveSetPtr wanted);
  // The PDP decides with this set.
  void confirm(ActiveSetPtr active);

 private:
  void replace(ActiveSetPtr active);

  AtomicShared<DecisionBasis> basis_{std::make_shared<const DecisionBasis>()};
  ActiveSetPtr wanted_;  // used on the agent's executor
};

}  // namespace notp::pdp
