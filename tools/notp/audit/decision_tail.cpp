#include "tools/notp/audit/decision_tail.hpp"

#include <algorithm>
#include <set>

#include "common/limits.hpp"

namespace notp::cli {
namespace {

constexpr uint32_t kPollRows = 200;

void advance(std::map<record::LogId, record::Position>& next, const AuditRecord& record) {
  record::Position& at = next[record.log];
  at = std::max(at, record.position() + 1);
}

}  // namespace

Result<std::vector<AuditRecord>> DecisionTail::start(AuditPort& port, size_t count) {
  // The sizes first: what arrives between the two questions is then among the newest, or is older
  // than all of them.
  NOTP_ASSIGN(const std::vector<wire::LogRow> logs, ask_logs(port, filter_.node));
  for (const wire::LogRow& log : logs) next_[log.log] = log.size;
  std::vector<AuditRecord> out;
  RecordPages pages(port, filter_, /*oldest_first=*/false);
  while (out.size() < count) {
    NOTP_ASSIGN(auto page, pages.next(static_cast<uint32_t>(
                               std::min<size_t>(count - out.size(), limits::kQueryRowsMax))));
    if (!page) break;
    std::ranges::move(*page, std::back_inserter(out));
  }
  if (out.size() > count) out.resize(count);
  std::ranges::reverse(out);
  for (const AuditRecord& each : out) advance(next_, each);
  return out;
}

Result<DecisionTail::NewDecisions> DecisionTail::poll(AuditPort& port, TimeMs now_ms) {
  wire::DecisionFilter filter = filter_;
  filter.since_ms = std::max({filter.since_ms, now_ms - kTailWindowMs, TimeMs{0}});
  RecordPages pages(port, std::move(filter), /*oldest_first=*/false);
  NewDecisions out;
  std::set<std::pair<record::LogId, record::Position>> seen;
  while (!out.left_out) {
    NOTP_ASSIGN(auto page, pages.next(kPollRows));
    if (!page) break;
    size_t fresh = 0;
    for (AuditRecord& each : *page) {
      const auto known = next_.find(each.log);
      const bool is_new = (known == next_.end() || each.position() >= known->second) &&
                          seen.emplace(each.log, each.position()).second;
      if (!is_new) continue;
      ++fresh;
      out.records.push_back(std::move(each));
    }
    // Behind a page of nothing new there is nothing new; an empty page is a pause of the search.
    if (!page->empty() && fresh == 0) break;
    out.left_out = pages.more() && out.records.size() >= kTailRowsMax;
  }
  std::ranges::reverse(out.records);
  for (const AuditRecord& each : out.records) advance(next_, each);
  return out;
}

}  // namespace notp::cli
