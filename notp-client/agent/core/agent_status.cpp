#include "notp-client/agent/core/agent_status.hpp"

#include "notp-client/agent/core/commit_reports.hpp"
#include "notp-client/agent/core/local_releases.hpp"

namespace notp::agent {

LedgerStatus status_of(const model::LedgerId& ledger, const LocalReleases& releases,
                       const CommitReports& reports) {
  LedgerStatus row;
  row.ledger = ledger;
  row.refusal = reports.refusal(ledger);
  row.quarantined_paths = reports.path_quarantines(ledger);
  if (const store::StoredRelease* newest = releases.newest(ledger)) {
    const auto& kept_back = reports.kept_back(ledger);
    row.stored_version = newest->ref.version;
    if (newest->quarantined)
      row.rejected_version = newest->ref.version;
    else if (kept_back)
      row.rejected_version = kept_back->version;
    row.error = newest->quarantined || !kept_back ? newest->error : kept_back->error.message;
  }
  const DesiredRelease* active = releases.active(ledger);
  const bool is_withheld = active && active->freshness_status.withheld;
  if (active && !is_withheld) row.active_version = active->version;
  const auto usable = releases.usable(ledger);
  const uint64_t version =
      row.active_version != 0 || usable.empty() ? row.active_version : usable.front()->ref.version;
  const FreshnessForecast now = releases.forecast(ledger, version);
  row.freshness_status = now.freshness_status;
  row.freshness_status.withheld = is_withheld;
  row.next_change_ms = now.next_change_ms;
  return row;
}

}  // namespace notp::agent
