#include "protocol/session/server/server_subscriptions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/limits.hpp"

namespace notp::session {
namespace {

// Returns the Head for Welcome; version 0: the ledger has no release.
trust::ReleaseRef head_of(const model::LedgerId& ledger,
                          const std::optional<trust::ReleaseRef>& target) {
  return target.value_or(
      trust::ReleaseRef{.ledger = ledger, .release_hash = {}, .content_root = {}});
}

Hash resumed_artifact(const std::optional<wire::ResumeToken>& resume) {
  return resume ? resume->artifact : Hash{};
}

}  // namespace

bool ServerSubscriptions::knows(const model::LedgerId& ledger, const wire::Base& base) const {
  const auto entry = context_.ports.catalog.release(ledger, base.version);
  return entry && entry->content_root == base.content_root;
}

std::vector<model::LedgerId> ServerSubscriptions::ledgers() const {
  std::vector<model::LedgerId> out;
  for (const auto& [ledger, subscription] : subscriptions_) out.push_back(ledger);
  return out;
}

// --- wants

void ServerSubscriptions::grant(std::vector<wire::Want>&& wants, wire::Welcome& welcome) {
  for (const wire::Want& want : wants) grant_one(want, welcome);
}

void ServerSubscriptions::grant_one(const wire::Want& want, wire::Welcome& welcome) {
  table_.count(want);
  const auto refuse = [&](const Error& error) {
    welcome.refusals.push_back({want.ledger, error.code, error.message});
  };
  if (auto allowed = context_.may(wire::Action::kRead, &want.ledger); !allowed)
    return refuse(allowed.error());
  // Not treated as a ledger without a release: its readers would take that for an attack.
  if (auto damage = context_.ports.catalog.damage(want.ledger)) return refuse(*damage);
  const auto target = context_.target(want.ledger);
  if (want.heads_only) return welcome.heads.push_back(head_of(want.ledger, target));
  if (auto room = check_room(want); !room) return refuse(room.error());
  if (want.version != 0) {
    if (auto offered = offer_single(want); !offered) refuse(offered.error());
    return;
  }
  // Only without an offer: an offer carries the same facts, signed.
  const bool current =
      !target || (want.base && want.base->version >= target->version && want.missing_blobs.empty());
  if (current) welcome.heads.push_back(head_of(want.ledger, target));
  subscribe(want);
}

Result<void> ServerSubscriptions::check_room(const wire::Want& want) const {
  if (want.version == 0 && !subscriptions_.contains(want.ledger) &&
      subscriptions_.size() >= limits::kLedgersPerSessionMax)
    return fail(ErrorCode::kLimit, fmt::format("more than {} ledgers wanted in one session",
                                               limits::kLedgersPerSessionMax));
  return transfers_.check_room();
}

void ServerSubscriptions::subscribe(const wire::Want& want) {
  Subscription subscription{.ledger = want.ledger};
  if (want.base && knows(want.ledger, *want.base))
    subscription.base = want.base->version;
  else
    subscription.unknown = want.base;
  for (const wire::Base& older : want.older)
    if (knows(want.ledger, older)) subscription.older.push_back(older.version);
  if (!subscription.base && !subscription.older.empty())
    subscription.base = subscription.older.front();
  subscription.missing_blobs.insert(want.missing_blobs.begin(), want.missing_blobs.end());
  subscription.resume = want.resume;
  freshness_.add(want.ledger);
  uint64_t held = want.base ? want.base->version : 0;
  for (const wire::Base& older : want.older) held = std::max(held, older.version);
  granted_.push_back({want.ledger, held, root_version_});
  auto& place = subscriptions_[want.ledger] = std::move(subscription);
  place.inventory_due = want.base && !place.base && context_.target(want.ledger);
  offer_target(place);
}

Result<void> ServerSubscriptions::offer_single(const wire::Want& want) {
  if (!want.pending_hash.is_zero()) NOTP_TRY(context_.may(wire::Action::kReview, &want.ledger));
  const bool based = want.base && knows(want.ledger, *want.base);
  if (transfers_.prepare_single(
          {want.ledger, based ? want.base->version : 0, want.version, want.pending_hash}))
    return {};
  if (!want.pending_hash.is_zero())
    return fail(ErrorCode::kNotFound,
                fmt::format("no release {} of {} waits for signatures as v{}",
                            want.pending_hash.brief(), want.ledger.text(), want.version));
  const auto target = context_.target(want.ledger);
  return fail(ErrorCode::kNotFound,
              fmt::format("{} has no release v{}; the newest is v{}", want.ledger.text(),
                          want.version, target ? target->version : 0));
}

Result<void> ServerSubscriptions::on_message(wire::WantMore&& more, Now now) {
  const size_t subscribed = subscriptions_.size();
  wire::Welcome granted;
  grant(std::move(more.wants), granted);
  send_inventory_requests();
  report_holdings();
  if (subscriptions_.size() > subscribed) freshness_.hasten(now);
  if (granted.refusals.empty()) return {};
  const wire::Refusal& refusal = granted.refusals.front();
  return fail(refusal.code, refusal.message);
}

// What is held back from this peer is not lost: the newest release counts, not its target. While
// the registry does not attest a ledger, what any reader of it holds is of interest.
bool ServerSubscriptions::report_holdings() {
  bool was_reported = false;
  const Catalog& catalog = context_.ports.catalog;
  const bool root_lost = !root_reported_ && root_version_ > catalog.newest_root();
  for (server_event::HoldsMore& held : std::exchange(granted_, {})) {
    const auto newest = catalog.newest(held.ledger);
    const bool release_lost = held.held_version > (newest ? newest->version : 0);
    const bool holds_more = release_lost || (root_lost && !root_reported_);
    if (!holds_more && context_.attests(held.ledger)) continue;
    root_reported_ = root_reported_ || root_lost;
    was_reported = was_reported || holds_more;
    context_.events.push_back(std::move(held));
  }
  return was_reported;
}

// --- inventories

void ServerSubscriptions::ask_inventory(Subscription& subscription, bool listed) {
  subscription.inventory_asked = true;
  subscription.inventory_listed = listed;
  inventory_requests_.push_back({table_.number_of(subscription.ledger).value(), listed});
}

void ServerSubscriptions::send_inventory_requests() {
  for (const wire::InventoryRequest& request : std::exchange(inventory_requests_, {}))
    context_.output.send(request);
}

Result<void> ServerSubscriptions::on_message(wire::Inventory&& inventory, Now) {
  NOTP_ASSIGN(const model::LedgerId ledger, table_.ledger_of(inventory.subscription));
  delta::Inventory held{inventory.files, std::move(inventory.list), std::move(inventory.sketch)};
  NOTP_TRY(delta::check_inventory(held));
  const auto found = subscriptions_.find(ledger);
  if (found == subscriptions_.end() || !found->second.inventory_asked) return {};
  Subscription& subscription = found->second;
  if (subscription.inventory_listed && !held.sketch.empty())
    return fail(ErrorCode::kState, "a sketch where a list was asked for");
  subscription.inventory_asked = false;
  if (auto allowed = context_.may(wire::Action::kRead, &ledger); !allowed) {
    context_.events.push_back(server_event::Refused{std::move(allowed).error()});
    return {};
  }
  const auto target = context_.target(ledger);
  if (!target) return {};
  // Found out while the inventory was on its way; a later offer needs another one.
  if (is_behind(subscription, *target)) {
    subscription.inventory_due = true;
    return {};
  }
  if (subscription.base) {
    offer_target(subscription);
    return {};
  }
  subscription.target = target->version;
  subscription.root_is_newer = false;
  subscription.ticket = transfers_.prepare({.ledger = ledger,
                                            .version = target->version,
                                            .inventory = std::move(held),
                                            .resume = resumed_artifact(subscription.resume)});
  return {};
}

void ServerSubscriptions::inventory_unclear(uint64_t ticket) {
  Subscription* const subscription = waiting_for(ticket);
  if (subscription == nullptr) return;
  subscription->target = subscription->ticket = 0;
  ask_inventory(*subscription, /*listed=*/true);
  send_inventory_requests();
}

// --- offers

void ServerSubscriptions::target_changed(const model::LedgerId& ledger) {
  const auto found = subscriptions_.find(ledger);
  if (found == subscriptions_.end()) return;
  if (auto allowed = context_.may(wire::Action::kRead, &ledger); !allowed) {
    // The subscription stays: a Commit for an earlier offer may still be under way.
    context_.events.push_back(server_event::Refused{std::move(allowed).error()});
    return;
  }
  offer_target(found->second);
  send_inventory_requests();
}

void ServerSubscriptions::roots_changed() {
  for (auto& [ledger, subscription] : subscriptions_) {
    subscription.root_is_newer = true;
    if (std::exchange(subscription.refused, 0) != 0) target_changed(ledger);
  }
}

// Versions restart with an epoch, so a lower number alone proves nothing.
bool ServerSubscriptions::is_behind(Subscription& subscription,
                                    const trust::ReleaseRef& target) const {
  if (!subscription.unknown) return false;
  if (knows(subscription.ledger, *subscription.unknown)) {
    subscription.base = subscription.unknown->version;
    subscription.unknown.reset();
    for (auto& [version, report] : std::exchange(subscription.early_reports, {}))
      if (context_.ports.catalog.release(subscription.ledger, version))
        context_.events.push_back(server_event::Committed{std::move(report)});
    subscription.inventory_due = false;
    return false;
  }
  return target.version <= subscription.unknown->version && !context_.attests(subscription.ledger);
}

void ServerSubscriptions::offer_target(Subscription& subscription) {
  const auto target = context_.target(subscription.ledger);
  if (!target || subscription.target != 0 || subscription.inventory_asked) return;
  if (is_behind(subscription, *target)) return;
  if (std::exchange(subscription.inventory_due, false))
    return ask_inventory(subscription, /*listed=*/false);
  if (target->version <= subscription.refused) return;
  if (subscription.base && *subscription.base >= target->version &&
      subscription.missing_blobs.empty())
    return;
  subscription.target = target->version;
  subscription.root_is_newer = false;
  subscription.ticket =
      transfers_.prepare({.ledger = subscription.ledger,
                          .base_version = subscription.base.value_or(0),
                          .version = target->version,
                          .missing_blobs = std::exchange(subscription.missing_blobs, {}),
                          .resume = resumed_artifact(subscription.resume)});
}

// nullptr: a later want has made that artifact unnecessary.
ServerSubscriptions::Subscription* ServerSubscriptions::waiting_for(uint64_t ticket) {
  const auto found = std::ranges::find(subscriptions_, ticket,
                                       [](const auto& entry) { return entry.second.ticket; });
  return found == subscriptions_.end() ? nullptr : &found->second;
}

void ServerSubscriptions::artifact_ready(uint64_t ticket, Result<PreparedArtifact> artifact) {
  Subscription* const subscription = waiting_for(ticket);
  if (subscription == nullptr) return;
  subscription->ticket = 0;
  if (!artifact) {
    // One ledger that cannot be served does not end the session for the others: its target is not
    // offered again before there is a newer one.
    subscription->refused = std::exchange(subscription->target, 0);
    context_.events.push_back(server_event::Refused{artifact.error()});
    return;
  }
  auto offer = transfers_.make_offer({.ledger = subscription->ledger,
                                      .base = subscription->base.value_or(0),
                                      .version = subscription->target},
                                     *artifact);
  if (!offer) return context_.output.refuse(offer.error(), 0);
  const auto resume = std::exchange(subscription->resume, std::nullopt);
  if (resume && resume->artifact == offer->artifact && resume->offset <= offer->size)
    offer->offset = resume->offset;
  table_.compact(*offer);
  transfers_.send_offer(*offer, *artifact);
}

// --- reports

// The peer cannot know that this registry has lost what it named.
Result<void> ServerSubscriptions::keep_early(Subscription& subscription, wire::Commit&& commit) {
  if (!subscription.unknown || commit.version > subscription.unknown->version)
    return fail(ErrorCode::kState, "a Commit for a release that was never offered");
  auto& kept = subscription.early_reports;
  kept.insert_or_assign(commit.version, std::move(commit));
  if (kept.size() > limits::kOlderBasesMax) kept.erase(kept.begin());
  return {};
}

Result<void> ServerSubscriptions::on_message(wire::Commit&& commit, Now) {
  NOTP_TRY(table_.expand(commit));
  const auto found = subscriptions_.find(commit.ledger);
  if (found == subscriptions_.end())
    return fail(ErrorCode::kState, "a Commit for a ledger that this session does not serve");
  Subscription& subscription = found->second;
  if (commit.version > std::max(subscription.target, subscription.base.value_or(0)) &&
      !context_.ports.catalog.release(commit.ledger, commit.version))
    return keep_early(subscription, std::move(commit));
  if (commit.version == subscription.target && subscription.ticket == 0) {
    if (commit.state == wire::CommitState::kRejected) {
      // A refusal that crossed a new root was not made under it.
      subscription.refused = subscription.root_is_newer ? 0 : commit.version;
    } else {
      subscription.base = commit.version;
      subscription.unknown.reset();
    }
    subscription.target = 0;
  }
  context_.events.push_back(server_event::Committed{std::move(commit)});
  offer_target(subscription);
  send_inventory_requests();
  return {};
}

}  // namespace notp::session
