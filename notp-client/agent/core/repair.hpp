// Decides what to request from the registry, and how to restore content that the store has lost.
// Pure. One thread.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "notp-client/agent/core/core_parts.hpp"
#include "notp-client/agent/core/staging.hpp"

namespace notp::agent {

// A release that is only partly readable.
struct HeldRelease {
  uint64_t version = 0;
  std::set<Hash> missing_blobs;  // contents
};

class ContentRepair {
 public:
  // All arguments outlive this object. Ledgers that `parts.trust` found damaged are requested in
  // full.
  ContentRepair(CoreParts parts, const PartialTransfers& transfers);

  // Returns a subscription to the ledger, based on what is stored. `with_base` false: for full
  // content.
  wire::Want want(const model::LedgerId& ledger, bool with_base) const;
  // Requests the newest release in full, without a base: in this session and the next ones, until
  // it is stored.
  void fetch_full(const model::LedgerId& ledger);
  // The result of the last scan of the ledger's newest release or of a base; null: no scan since
  // the last release was stored.
  const HeldRelease* held(const model::LedgerId& ledger) const;
  // A complete release was stored.
  void on_stored(const model::LedgerId& ledger) { ledgers_.at(ledger) = {}; }

  // Yields a ScanContent.
  void scan(const model::LedgerId& ledger, uint64_t version,
            std::optional<delta::InventoryForm> form);
  // The registry knows none of this node's releases and asks for an inventory to build on.
  void on_inventory_wanted(const model::LedgerId& ledger, delta::InventoryForm form);
  // One of these releases could not be read; which one is not known yet.
  void on_unreadable(const DesiredState& state);
  // Marks an older release, which is not sent again, as unreadable. True: it was marked.
  bool drop_if_unreadable(const ScanRequest& request, const Result<ContentScan>& scan);
  // Requests what is damaged. `failed` is the state that could not be activated; null: none.
  void on_content_scan(const ScanRequest& request, Result<ContentScan> scan,
                       const DesiredState* failed);

 private:
  struct LedgerRepair {
    bool wants_full = false;
    std::optional<HeldRelease> held;
  };
  bool is_newest(const ScanRequest& request) const;
  void request_damaged(const model::LedgerId& ledger);

  const CoreParts parts_;
  const PartialTransfers& transfers_;
  std::map<model::LedgerId, LedgerRepair> ledgers_;
  // For a desired state that could not be read: the ledgers being scanned, and whether damage was
  // found.
  std::set<model::LedgerId> scanning_;
  bool damage_found_ = false;
};

}  // namespace notp::agent
