#include "notp-client/pdp/decision_basis.hpp"

namespace notp::pdp {

void CurrentBasis::want(ActiveSetPtr wanted) {
  wanted_ = std::move(wanted);
  replace(basis_.get()->active);
}

void CurrentBasis::confirm(ActiveSetPtr active) { replace(std::move(active)); }

void CurrentBasis::replace(ActiveSetPtr active) {
  auto next = std::make_shared<DecisionBasis>();
  next->withheld = WithheldRoots(active.get(), wanted_.get());
  next->active = std::move(active);
  basis_.set(std::move(next));
}

}  // namespace notp::pdp
