#include "tools/notp/audit/log_history.hpp"

#include <algorithm>

namespace notp::cli {
namespace {

// An agent that starts again writes its gaps, of which there are two at most, beside its RUN_START.
constexpr record::Position kGapDistanceMax = 2;

// Whether a run may have ended with records that are not there.
bool ends_a_run(const record::Gap& gap) {
  return gap.reason == record::GapReason::kPowerLoss || gap.reason == record::GapReason::kDamaged;
}

}  // namespace

LogHistory::LogHistory(std::vector<AuditRecord> records) {
  std::ranges::sort(records, {}, &AuditRecord::position);
  std::vector<uint32_t> ended;
  for (AuditRecord& each : records) {
    if (!each.unreadable.empty()) continue;
    const record::Place& place = each.record.place;
    auto& content = each.record.content;
    if (auto* start = std::get_if<record::RunStart>(&content)) {
      runs_.push_back(
          {place.run, place.position, each.record.time_ns, std::move(start->program), false});
    } else if (std::holds_alternative<record::RunEnd>(content)) {
      ended.push_back(place.run);
    } else if (auto* gap = std::get_if<record::Gap>(&content)) {
      gaps_.push_back({place.position, each.record.time_ns, std::move(*gap)});
    } else if (auto* dropped = std::get_if<record::Dropped>(&content)) {
      dropped_.push_back({place.position, each.record.time_ns, std::move(*dropped)});
    }
  }
  for (RunInfo& run : runs_) run.ended = std::ranges::find(ended, run.run) != ended.end();
}

std::vector<RunInfo> LogHistory::broken() const {
  std::vector<RunInfo> out;
  for (size_t i = 0; i + 1 < runs_.size(); ++i)
    if (!runs_[i].ended) out.push_back(runs_[i]);
  return out;
}

uint32_t LogHistory::run_at(record::Position position) const {
  const auto after = std::ranges::upper_bound(runs_, position, {}, &RunInfo::first);
  return after == runs_.begin() ? 0 : std::prev(after)->run;
}

const GapFound* LogHistory::end_of(uint32_t run, record::Position position) const {
  const auto next = std::ranges::upper_bound(runs_, run, {}, &RunInfo::run);
  if (next == runs_.end()) return nullptr;
  for (const GapFound& found : gaps_) {
    const bool is_between = found.position + kGapDistanceMax >= next->first &&
                            found.position <= next->first + kGapDistanceMax;
    if (is_between && ends_a_run(found.gap) && position >= std::min(found.position, next->first))
      return &found;
  }
  return nullptr;
}

}  // namespace notp::cli
