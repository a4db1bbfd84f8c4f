#include "protocol/session/shorthand.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp {
namespace {

std::unexpected<Error> unknown(std::string_view message, uint32_t number) {
  return fail(
      ErrorCode::kState,
      fmt::format("{} for subscription {}, which this session does not have", message, number));
}

}  // namespace

std::optional<uint32_t> Shorthand::number_of(const LedgerId& ledger) const {
  const auto found = std::ranges::find(places_, ledger, &Place::ledger);
  if (found == places_.end()) return std::nullopt;
  return static_cast<uint32_t>(found - places_.begin());
}

void Shorthand::count(const wire::Want& want) {
  const bool subscribes = want.version == 0 && !want.heads_only;
  if (subscribes && !number_of(want.ledger)) places_.push_back({want.ledger, {}});
}

bool Shorthand::shorten(wire::Offer& offer) const {
  const auto number = number_of(offer.ledger);
  if (!number || (offer.base && offer.base->version >= offer.version)) return false;
  offer.subscription = *number;
  offer.behind = offer.base ? offer.version - offer.base->version : 0;
  offer.ledger = {};
  offer.base.reset();
  offer.content_root = {};
  // Which of the parts that its reader kept goes on cannot be derived.
  if (offer.offset == 0) offer.artifact = {};
  return true;
}

Result<void> Shorthand::expand(wire::Offer& offer) const {
  if (!offer.is_short()) return {};
  if (offer.subscription >= places_.size()) return unknown("an Offer", offer.subscription);
  offer.ledger = places_[offer.subscription].ledger;
  if (offer.behind != 0) offer.base = wire::Base{offer.version - offer.behind, {}};
  offer.subscription = 0;
  offer.behind = 0;
  return {};
}

void Shorthand::shorten(wire::Commit& commit) {
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

Result<void> Shorthand::expand(wire::Commit& commit) {
  std::optional<uint32_t> number = commit.subscription;
  if (!commit.is_short()) number = number_of(commit.ledger);
  if (!number || *number >= places_.size())
    return commit.is_short()
               ? unknown("a Commit", commit.subscription)
               : fail(ErrorCode::kState, "a Commit for a ledger that this session does not serve");
  Place& place = places_[*number];
  place.freshness = commit.freshness.value_or(place.freshness);
  commit.freshness = place.freshness;
  commit.ledger = place.ledger;
  commit.subscription = 0;
  return {};
}

}  // namespace notp
