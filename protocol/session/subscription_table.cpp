#include "protocol/session/subscription_table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::session {
std::optional<uint32_t> SubscriptionTable::number_of(const model::LedgerId& ledger) const {
  const auto found = std::ranges::find(places_, ledger, &Place::ledger);
  if (found == places_.end()) return std::nullopt;
  return static_cast<uint32_t>(found - places_.begin());
}

Result<model::LedgerId> SubscriptionTable::ledger_of(uint32_t number) const {
  if (number < places_.size()) return places_[number].ledger;
  return fail(ErrorCode::kState,
              fmt::format("subscription {}, which this session does not have", number));
}

void SubscriptionTable::count(const wire::Want& want) {
  const bool subscribes = want.version == 0 && !want.heads_only;
  if (subscribes && !number_of(want.ledger)) places_.push_back({want.ledger, {}});
}

bool SubscriptionTable::compact(wire::Offer& offer) const {
  const auto number = number_of(offer.ledger);
  if (!number || offer.partial || (offer.base && offer.base->version >= offer.version))
    return false;
  offer.subscription = *number;
  offer.base_distance = offer.base ? offer.version - offer.base->version : 0;
  offer.ledger = {};
  offer.base.reset();
  offer.content_root = {};
  // The reader cannot derive which of its partial artifacts continues.
  if (offer.offset == 0) offer.artifact = {};
  return true;
}

Result<void> SubscriptionTable::expand(wire::Offer& offer) const {
  if (!offer.is_short()) return {};
  NOTP_ASSIGN(offer.ledger, ledger_of(offer.subscription));
  if (offer.base_distance != 0) offer.base = wire::Base{offer.version - offer.base_distance, {}};
  offer.subscription = 0;
  offer.base_distance = 0;
  return {};
}

void SubscriptionTable::compact(wire::Commit& commit) {
  const auto number = number_of(commit.ledger);
  if (!number) return;
  Place& place = places_[*number];
  if (commit.freshness == place.freshness)
    commit.freshness.reset();
  else if (commit.freshness)
    place.freshness = *commit.freshness;
  commit.ledger = {};
  commit.subscription = *number;
}

Result<void> SubscriptionTable::expand(wire::Commit& commit) {
  std::optional<uint32_t> number = commit.subscription;
  if (!commit.is_short()) number = number_of(commit.ledger);
  if (!number)
    return fail(ErrorCode::kState, "a Commit for a ledger that this session does not serve");
  NOTP_TRY(ledger_of(*number));
  Place& place = places_[*number];
  place.freshness = commit.freshness.value_or(place.freshness);
  commit.freshness = place.freshness;
  commit.ledger = place.ledger;
  commit.subscription = 0;
  return {};
}

}  // namespace notp::session
