// What to ask the registry for, and how to get back what the store has lost. Pure. One thread.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "notp-client/agent/core/core_parts.hpp"
#include "notp-client/agent/core/staging.hpp"

namespace notp {

// A release of which only a part can be read.
struct HeldRelease {
  uint64_t version = 0;
  std::set<Hash> missing_blobs;  // contents
};

class ContentRepair {
 public:
  // All arguments outlive this object. What `parts.trust` found damaged is wanted whole.
  ContentRepair(CoreParts parts, const PartialTransfers& transfers);

  // A subscription to the ledger, from what is stored of it. `with_base` false: of full content.
  wire::Want want(const LedgerId& ledger, bool with_base) const;
  // Asks for the newest release whole, without a base: in this session, and in the next ones until
  // it has been stored.
  void fetch_full(const LedgerId& ledger);
  // What the last scan of the ledger's newest release, or of a base, has found; null: no scan since
  // the last release was stored.
  const HeldRelease* held(const LedgerId& ledger) const;
  // A release was stored, whole.
  void on_stored(const LedgerId& ledger) { ledgers_.at(ledger) = {}; }

  // Yields a ScanContent.
  void scan(const LedgerId& ledger, uint64_t version, std::optional<InventoryForm> form);
  // The registry knows none of this node's releases and asks what it can build on.
  void on_inventory_wanted(const LedgerId& ledger, InventoryForm form);
  // One of these releases could not be read; which one is not known yet.
  void on_unreadable(const DesiredState& state);
  // Of an older release that is not sent again: marks it as unreadable. True: it was marked.
  bool drop_if_unreadable(const ScanRequest& request, const Result<ContentScan>& scan);
  // Asks for what is damaged. `failed` is what could not be activated; null: nothing.
  void on_content_scan(const ScanRequest& request, Result<ContentScan> scan,
                       const DesiredState* failed);

 private:
  struct LedgerRepair {
    bool wants_full = false;
    std::optional<HeldRelease> held;
  };
  bool is_newest(const ScanRequest& request) const;
  void request_damaged(const LedgerId& ledger);

  const CoreParts parts_;
  const PartialTransfers& transfers_;
  std::map<LedgerId, LedgerRepair> ledgers_;
  // Of a desired state that could not be read: what is being scanned, and was damage found?
  std::set<LedgerId> scanning_;
  bool damage_found_ = false;
};

}  // namespace notp
