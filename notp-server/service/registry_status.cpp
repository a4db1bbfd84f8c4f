#include "notp-server/service/registry_status.hpp"

#include <algorithm>
#include <numeric>

#include "common/limits.hpp"

namespace notp::service {
namespace {

wire::LedgerStatus ledger_status(const model::LedgerId& ledger, uint64_t head,
                                 const fleet::Census& census, const fleet::Measures& measures) {
  wire::LedgerStatus out;
  out.ledger = ledger;
  out.head_version = head;
  const fleet::Activations::Times times = measures.times(ledger, head);
  out.published_ms = times.published_ms;
  out.slowest_ms = times.slowest_ms;
  const auto counted = census.ledgers.find(ledger);
  if (counted == census.ledgers.end()) return out;
  const fleet::LedgerCensus::Stand stand = counted->second.stand(head);
  out.nodes = counted->second.nodes;
  out.away = counted->second.away;
  out.current = stand.current;
  out.older = stand.older;
  out.rejected = stand.rejected;
  return out;
}

}  // namespace

Result<wire::RegistryStatus> status_of(const registry::Registry& registry, fleet::Fleet& fleet,
                                       const RegistryTotals& totals,
                                       const wire::StatusRequest& query, TimeMs now_ms) {
  const fleet::Measures& measures = fleet.measures();
  const auto census = measures.census();
  if (!census)
    return fail(ErrorCode::kUnavailable,
                "the registry has just started and still counts its nodes: ask again in a moment");
  wire::RegistryStatus out;
  out.now_ms = now_ms;
  out.sessions = totals.sessions;
  out.publishes = totals.publishes;
  out.offers = totals.offers;
  out.sent_bytes = totals.sent_bytes;
  out.records = totals.records;
  out.activations = measures.activations();
  out.rejections = measures.rejections();
  if (const TimeMs since_ms = fleet.log_lag_since_ms(); since_ms != 0)
    out.lag_ms = static_cast<uint64_t>(std::max<TimeMs>(0, now_ms - since_ms));
  out.nodes = std::accumulate(census->nodes.begin(), census->nodes.end(), uint64_t{0});
  out.connected = census->connected;
  out.stale = census->stale;
  const size_t rows_max = std::clamp<size_t>(query.rows_max, 1, limits::kQueryRowsMax);
  const std::vector<model::LedgerId> ledgers = registry.ledgers();  // ascending
  auto next = query.after ? std::ranges::upper_bound(ledgers, *query.after) : ledgers.begin();
  for (; next != ledgers.end() && out.ledgers.size() < rows_max; ++next)
    if (const auto head = registry.head(*next))
      out.ledgers.push_back(ledger_status(*next, head->ref.version, *census, measures));
  out.more = next != ledgers.end();
  return out;
}

}  // namespace notp::service
