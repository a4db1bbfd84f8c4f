#include "notp-client/agent/core/repair.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"

namespace notp::agent {
namespace {

bool is_damaged(const Result<ContentScan>& scan) { return !scan || !scan->missing_blobs.empty(); }

}  // namespace

ContentRepair::ContentRepair(CoreParts parts, const PartialTransfers& transfers)
    : parts_(parts), transfers_(transfers) {
  for (const model::LedgerId& ledger : parts_.releases.ledgers())
    ledgers_[ledger].wants_full = parts_.trust.damaged().contains(ledger);
}

wire::Want ContentRepair::want(const model::LedgerId& ledger, bool with_base) const {
  const LedgerRepair& repair = ledgers_.at(ledger);
  const auto& releases = parts_.releases.of(ledger);
  wire::Want want;
  want.ledger = ledger;
  want.resume = transfers_.resume_token(ledger);
  if (!with_base || repair.wants_full || releases.empty()) return want;
  const auto base_of = [](const store::StoredRelease& r) {
    return wire::Base{r.ref.version, r.ref.content_root};
  };
  want.base = base_of(releases.front());
  if (repair.held)
    want.missing_blobs.assign(repair.held->missing_blobs.begin(), repair.held->missing_blobs.end());
  // 1, 2, 4, 8 … releases back: a base near any age, in a few entries.
  for (size_t back = 1; back < releases.size() && want.older.size() < limits::kOlderBasesMax;
       back *= 2)
    want.older.push_back(base_of(releases[back]));
  return want;
}

void ContentRepair::fetch_full(const model::LedgerId& ledger) {
  ledgers_.at(ledger).wants_full = true;
  parts_.registry.want(want(ledger, /*with_base=*/false));
}

const HeldRelease* ContentRepair::held(const model::LedgerId& ledger) const {
  const auto& held = ledgers_.at(ledger).held;
  return held ? &*held : nullptr;
}

void ContentRepair::scan(const model::LedgerId& ledger, uint64_t version,
                         std::optional<delta::InventoryForm> form) {
  parts_.effects.push_back(effect::ScanContent{{ledger, version, form}});
}

void ContentRepair::on_inventory_wanted(const model::LedgerId& ledger, delta::InventoryForm form) {
  const store::StoredRelease* newest =
      parts_.releases.follows(ledger) ? parts_.releases.newest(ledger) : nullptr;
  if (!newest) return parts_.registry.send_inventory(ledger, delta::Inventory{});
  scan(ledger, newest->ref.version, form);
}

void ContentRepair::on_unreadable(const DesiredState& state) {
  damage_found_ = false;
  for (const auto& [ledger, release] : state) {
    scanning_.insert(ledger);
    scan(ledger, release.version, std::nullopt);
  }
}

bool ContentRepair::is_newest(const ScanRequest& request) const {
  const store::StoredRelease* newest = parts_.releases.newest(request.ledger);
  return newest && newest->ref.version == request.version;
}

// A release that the store has dropped is not damaged: the PDP may use its own copy for longer.
bool ContentRepair::drop_if_unreadable(const ScanRequest& request,
                                       const Result<ContentScan>& scan) {
  if (!is_damaged(scan) || is_newest(request)) return false;
  const ErrorCode why = scan ? ErrorCode::kCorrupt : scan.error().code;
  if (why != ErrorCode::kNotFound)
    parts_.alarms.raise(
        Error{why,
              fmt::format("{} v{} cannot be read from the store any more; look at this node's disk",
                          request.ledger.text(), request.version),
              {}});
  parts_.releases.mark_unreadable(request.ledger, request.version);
  return true;
}

void ContentRepair::on_content_scan(const ScanRequest& request, Result<ContentScan> scan,
                                    const DesiredState* failed) {
  const model::LedgerId& ledger = request.ledger;
  const bool is_scanning = scanning_.contains(ledger), damaged = is_damaged(scan);
  // No registry resends an older release that the PDP should have decided with. A delta's base need
  // not be complete: the head is wanted.
  if (is_newest(request) || !is_scanning) {
    if (scan)
      ledgers_.at(ledger).held = HeldRelease{request.version, std::move(scan->missing_blobs)};
    if (!scan)
      fetch_full(ledger);
    else if (request.form)
      parts_.registry.send_inventory(ledger, std::move(scan->inventory));
    else if (damaged)
      request_damaged(ledger);
    else if (!is_scanning)
      fetch_full(ledger);  // the base is intact, so the delta was damaged
  }
  damage_found_ |= damaged;
  if (scanning_.erase(ledger) == 0 || !scanning_.empty() || damage_found_ || !failed) return;
  // It is readable now and was not before: whatever the cause, fresh content is intact.
  for (const auto& [suspect, release] : *failed) fetch_full(suspect);
}

// Requests only what is damaged.
void ContentRepair::request_damaged(const model::LedgerId& ledger) {
  const HeldRelease& held = *ledgers_.at(ledger).held;
  parts_.alarms.raise(
      Error{ErrorCode::kCorrupt,
            fmt::format("{} of the stored contents of {} v{} cannot be read: this node fetches "
                        "them again from its registry, when it can be reached; look at its disk",
                        held.missing_blobs.size(), ledger.text(), held.version),
            {}});
  if (held.missing_blobs.size() > limits::kLacksMax) return fetch_full(ledger);
  parts_.registry.want(want(ledger, /*with_base=*/true));
}

}  // namespace notp::agent
