// Tracks what the peer of one registry's session wants and holds: grants wants, chooses bases, and
// offers each new target. protocol/session/README.md, "Pull", "Push", "Unknown base",
// "Subscriptions".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "protocol/session/server/server_context.hpp"
#include "protocol/session/server/server_freshness.hpp"
#include "protocol/session/server/server_transfers.hpp"
#include "protocol/session/subscription_table.hpp"

namespace notp::session {

// One thread.
class ServerSubscriptions {
 public:
  // All references outlive it.
  ServerSubscriptions(ServerContext& context, ServerTransfers& transfers,
                      ServerFreshness& freshness)
      : context_(context), transfers_(transfers), freshness_(freshness) {}

  // The peer's newest root, from its Hello.
  void on_hello(const wire::Hello& hello) { root_version_ = hello.root_version; }
  // Grants or refuses each want of a Hello; heads and refusals go into `welcome`.
  void grant(std::vector<wire::Want>&& wants, wire::Welcome& welcome);
  // Reports what the peer holds beyond the catalog, by the wants granted since the last call.
  // Whether the peer holds more.
  bool report_holdings();
  // Sends the requests for inventories that granting requires, after the answer to the wants.
  void send_inventory_requests();

  // Returns the error of the first refused want.
  Result<void> on_message(wire::WantMore&& more, Now now);
  // kState for a ledger without a subscription, or a release that was never offered.
  Result<void> on_message(wire::Commit&& commit, Now now);
  // kMessage, kState. An unexpected inventory has crossed a new want, and is dropped.
  Result<void> on_message(wire::Inventory&& inventory, Now now);

  // The host made the artifact of a ticket, or failed to.
  void artifact_ready(uint64_t ticket, Result<PreparedArtifact> artifact);
  // The inventory that came with the ticket is a sketch that cannot be read.
  void inventory_unclear(uint64_t ticket);
  // The target of a ledger may have moved: offers it if the peer subscribed and its base is known.
  void target_changed(const model::LedgerId& ledger);

  // The peer was sent a newer root, which may be what it lacked for a release that it refused: such
  // a release is offered again.
  void roots_changed();

  bool contains(const model::LedgerId& ledger) const { return subscriptions_.contains(ledger); }
  // Returns the subscribed ledgers, ascending.
  std::vector<model::LedgerId> ledgers() const;

 private:
  // State of the peer's copy of one ledger.
  struct Subscription {
    model::LedgerId ledger;
    std::optional<uint64_t> base;  // version that the peer holds and that the catalog knows
    // The newest release that it named, while the catalog lacks it.
    std::optional<wire::Base> unknown;
    // What it reported of such releases: handed over once the catalog has them. By version.
    std::map<uint64_t, wire::Commit> early_reports = {};
    std::vector<uint64_t> older;    // other versions that it holds, newest first
    std::set<Hash> missing_blobs;   // contents that it cannot read
    bool inventory_due = false;     // to be asked for, before the first offer
    bool inventory_asked = false;   // no offers until it has come
    bool inventory_listed = false;  // the next one must not be a sketch
    std::optional<wire::ResumeToken> resume;
    uint64_t target = 0;   // offered or about to be, until its Commit; 0: nothing under way
    uint64_t refused = 0;  // the peer refused to store this one: not offered under the same root
    uint64_t ticket = 0;   // of the ArtifactNeeded under way
    bool root_is_newer = false;  // a root was sent since `target` was chosen
  };

  void grant_one(const wire::Want& want, wire::Welcome& welcome);
  // kLimit when one more want would exceed the cost limit of a session.
  Result<void> check_room(const wire::Want& want) const;
  bool knows(const model::LedgerId& ledger, const wire::Base& base) const;
  void subscribe(const wire::Want& want);
  void offer_target(Subscription& subscription);
  // Offers a release that was requested once. kDenied, kNotFound.
  Result<void> offer_single(const wire::Want& want);
  // Whether what the peer holds is newer than the target, and lost to this registry. Looks first
  // whether the catalog knows by now what the peer named.
  bool is_behind(Subscription& subscription, const trust::ReleaseRef& target) const;
  void ask_inventory(Subscription& subscription, bool listed);
  Subscription* waiting_for(uint64_t ticket);
  // kState: the release was neither offered nor named by the peer.
  Result<void> keep_early(Subscription& subscription, wire::Commit&& commit);

  ServerContext& context_;
  ServerTransfers& transfers_;
  ServerFreshness& freshness_;
  SubscriptionTable table_;
  std::map<model::LedgerId, Subscription> subscriptions_;
  std::vector<wire::InventoryRequest> inventory_requests_;  // to be sent
  uint64_t root_version_ = 0;                               // of the peer
  bool root_reported_ = false;
  std::vector<server_event::HoldsMore> granted_;  // what the peer holds; to be looked at
};

}  // namespace notp::session
