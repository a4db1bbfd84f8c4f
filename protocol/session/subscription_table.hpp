// Shortens Offers and Commits by what both ends of a session know: numbers stand for ledgers, and
// derivable fields are left out. protocol/session/README.md, "Subscriptions".
#pragma once

#include <optional>
#include <vector>

#include "protocol/wire/messages.hpp"

namespace notp::session {

// Each end has one. They agree because both count the same wants in the same order, and each
// direction of a session keeps its order.
class SubscriptionTable {
 public:
  // Counts each want of Hello and WantMore, in order, granted or not. A ledger gets its number from
  // the first want that subscribes to it, and keeps it.
  void count(const wire::Want& want);

  // The number of a ledger; nullopt: it has none.
  std::optional<uint32_t> number_of(const model::LedgerId& ledger) const;
  // kState: no ledger has that number.
  Result<model::LedgerId> ledger_of(uint32_t number) const;

  // Shortens an offer that names its ledger. False: it has no short form.
  bool compact(wire::Offer& offer) const;
  // Restores ledger and base of a short offer, the latter without its content root. kState: no
  // ledger has that number.
  Result<void> expand(wire::Offer& offer) const;

  // The same for reports. Only a change of freshness is sent; each call is one Commit of the
  // session, in order.
  void compact(wire::Commit& commit);
  Result<void> expand(wire::Commit& commit);

 private:
  struct Place {
    model::LedgerId ledger;
    trust::FreshnessState freshness = trust::FreshnessState::kUntracked;  // of the last Commit
  };
  std::vector<Place> places_;  // by number
};

}  // namespace notp::session
