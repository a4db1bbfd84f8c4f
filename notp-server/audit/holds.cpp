#include "notp-server/audit/holds.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/failpoint.hpp"
#include "common/limits.hpp"
#include "common/log.hpp"

namespace notp::audit {
namespace {

constexpr size_t kDigestShown = 16;  // hexadecimal digits

std::string digest_of(std::string_view text) {
  return "sha256:" + sha256(text).hex().substr(0, kDigestShown);
}

// A hold that a caller places, changes or lifts must be about what he may erase.
Result<void> check_right(const wire::DecisionFilter& filter, const MaySee& may_erase) {
  if (may_erase(filter.ledger)) return {};
  return fail(ErrorCode::kDenied,
              filter.ledger.empty()
                  ? "a hold without a ledger is for those who may erase in every ledger"
                  : "the right to erase in " + printable(filter.ledger) + " is not yours");
}

}  // namespace

// --- filters

Result<HoldFilters> HoldFilters::prepare(const std::vector<wire::Hold>& holds) {
  HoldFilters out;
  for (const wire::Hold& hold : holds) {
    auto prepared = std::make_unique<Prepared>();
    prepared->filter = hold.filter;
    prepared->filter.kinds.clear();
    prepared->may_see = [](std::string_view) { return true; };
    NOTP_ASSIGN(SearchFilter search, SearchFilter::prepare(prepared->filter, prepared->may_see));
    prepared->search.emplace(std::move(search));
    out.filters_.push_back(std::move(prepared));
  }
  return out;
}

bool HoldFilters::needs_filters() const {
  return std::ranges::any_of(filters_, [](const std::unique_ptr<Prepared>& each) {
    return each->search->range().with_filters;
  });
}

Result<std::vector<bool>> HoldFilters::covered(SegmentRecords& records, const SegmentIndex& index,
                                               ActiveSets& actives) {
  std::vector<bool> out(records.row().count);
  for (const auto& each : filters_) {
    NOTP_ASSIGN(const std::vector<bool> selected,
                select_records(records, index, *each->search, actives));
    for (size_t i = 0; i < out.size(); ++i)
      if (selected[i]) out[i] = true;
  }
  return out;
}

std::string filter_words(const wire::DecisionFilter& filter) {
  std::string out;
  const auto add = [&](std::string_view option, std::string_view value) {
    if (!value.empty()) out += fmt::format("{}--{} {}", out.empty() ? "" : " ", option, value);
  };
  if (filter.since_ms != 0) add("since", utc_time(filter.since_ms));
  if (filter.until_ms != 0) add("until", utc_time(filter.until_ms));
  add("node", filter.node);
  add("ledger", filter.ledger);
  add("path", filter.path);
  add("outcome", record::outcome_name(filter.outcome));
  if (!filter.release_hash.is_zero()) add("release", filter.release_hash.hex());
  for (const std::string& value : filter.values) add("value", digest_of(value));
  if (!filter.contains.empty()) add("contains", digest_of(filter.contains));
  add("id", filter.decision_id);
  return out.empty() ? "all decisions" : out;
}

// --- holds

Result<std::vector<wire::Hold>> Holds::in_force() const {
  NOTP_ASSIGN(std::vector<wire::Hold> all, table_.all());
  std::erase_if(all, [](const wire::Hold& hold) { return hold.lifted_ms != 0; });
  return all;
}

Result<wire::HoldsPage> Holds::list(const wire::HoldsRequest& request,
                                    const MaySee& may_see) const {
  NOTP_ASSIGN(std::vector<wire::Hold> all, table_.all());
  wire::HoldsPage out;
  for (wire::Hold& hold : all) {
    if (hold.id <= request.after && !request.after.empty()) continue;
    if (!may_see(hold.filter.ledger)) continue;
    if (out.rows.size() == limits::kHoldsMax) {
      out.more = true;
      break;
    }
    out.rows.push_back(std::move(hold));
  }
  return out;
}

Result<uint64_t> Holds::state(const wire::Hold& hold, bool on, const std::string& why,
                              TimeMs now_ms) {
  record::TreeEntry entry;
  entry.kind = record::TreeEntryKind::kHold;
  entry.time_ms = now_ms;
  entry.id = hold.id;
  entry.on = on;
  entry.by = hold.by;
  entry.rule = on ? fmt::format("{}: {}", filter_words(hold.filter), why) : why;
  return tree_.append_now(entry);
}

Result<void> Holds::finish_begun(TimeMs now_ms) {
  NOTP_ASSIGN(std::vector<wire::Hold> holds, in_force());
  for (wire::Hold& hold : holds) {
    if (hold.index != kUnstated) continue;
    NOTP_ASSIGN(hold.index, state(hold, true, hold.reason, now_ms));
    NOTP_TRY(table_.put(hold));
  }
  return {};
}

Result<wire::Hold> Holds::place(const wire::PutHold& order, const wire::Hold* known,
                                const std::string& by, TimeMs now_ms) {
  wire::Hold hold{.id = order.id,
                  .filter = order.filter,
                  .reason = order.reason,
                  .by = by,
                  .placed_ms = now_ms,
                  .lifted_ms = 0,
                  .index = kUnstated};
  hold.filter.kinds.clear();
  NOTP_TRY(HoldFilters::prepare({hold}));
  // What the hold covered before stays covered until the change is stated.
  const bool is_change = known != nullptr && known->lifted_ms == 0;
  if (!is_change) NOTP_TRY(table_.put(hold));
  failpoint("audit.hold_put");
  auto index = state(hold, true, order.reason, now_ms);
  if (!index) {
    if (!is_change) NOTP_TRY(known != nullptr ? table_.put(*known) : table_.remove(hold.id));
    return std::unexpected(std::move(index).error());
  }
  hold.index = *index;
  NOTP_TRY(table_.put(hold));
  log::info("audit_hold_placed", {{"identity", by},
                                  {"hold", hold.id},
                                  {"filter", filter_words(hold.filter)},
                                  {"reason", hold.reason},
                                  {"leaf", hold.index}});
  return hold;
}

Result<wire::Hold> Holds::lift(const wire::PutHold& order, const wire::Hold& known,
                               const std::string& by, TimeMs now_ms) {
  wire::Hold hold = known;
  hold.by = by;
  NOTP_ASSIGN(hold.index, state(hold, false, order.reason, now_ms));
  failpoint("audit.lift_stated");
  hold.lifted_ms = now_ms;
  NOTP_TRY(table_.put(hold));
  log::warn("audit_hold_lifted",
            {{"identity", by}, {"hold", hold.id}, {"reason", order.reason}, {"leaf", hold.index}});
  return hold;
}

Result<wire::HoldsPage> Holds::put(const wire::PutHold& order, const std::string& by,
                                   const MaySee& may_erase, TimeMs now_ms) {
  NOTP_ASSIGN(const std::vector<wire::Hold> all, table_.all());
  const auto at = std::ranges::find(all, order.id, &wire::Hold::id);
  const wire::Hold* const known = at == all.end() ? nullptr : &*at;
  const bool is_in_force = known != nullptr && known->lifted_ms == 0;
  if (is_in_force) NOTP_TRY(check_right(known->filter, may_erase));
  wire::HoldsPage out;
  if (order.lift) {
    if (!is_in_force)
      return fail(ErrorCode::kNotFound,
                  "no hold " + printable(order.id) + " is in force: see 'notp decisions holds'");
    NOTP_ASSIGN(wire::Hold hold, lift(order, *known, by, now_ms));
    out.rows.push_back(std::move(hold));
    return out;
  }
  NOTP_TRY(check_right(order.filter, may_erase));
  const auto in_force = static_cast<size_t>(
      std::ranges::count_if(all, [](const wire::Hold& hold) { return hold.lifted_ms == 0; }));
  if (!is_in_force && in_force >= limits::kHoldsMax)
    return fail(ErrorCode::kLimit,
                fmt::format("{} holds are in force, which is the maximum: lift one", in_force));
  NOTP_ASSIGN(wire::Hold hold, place(order, known, by, now_ms));
  out.rows.push_back(std::move(hold));
  return out;
}

}  // namespace notp::audit
