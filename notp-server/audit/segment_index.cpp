#include "notp-server/audit/segment_index.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "notp-server/audit/segment_head.hpp"
#include "notp-server/audit/value_filter.hpp"

namespace notp::audit {
namespace {

void add_values(const record::DecisionContent& decision, FilterBuilder& filter) {
  if (decision.input) filter.add_json(*decision.input);
  if (decision.result) filter.add_json(*decision.result);
  // An id that is not an address is found like a value.
  if (!decision.decision_id.empty()) filter.add(decision.decision_id);
}

}  // namespace

Result<BuiltIndex> build_index(const record::SegmentHead& head,
                               const record::OpenedSegment& segment) {
  return build_index(head, segment.records());
}

Result<BuiltIndex> build_index(const record::SegmentHead& head, std::span<const ByteView> records) {
  BuiltIndex out{.index = {}, .first_time_ns = INT64_MAX, .last_time_ns = INT64_MIN};
  HeadBuilder columns;
  FilterBuilder filter;
  for (size_t i = 0; i < records.size(); ++i) {
    if (records[i].empty()) {
      columns.add_closed();
      continue;
    }
    const auto record = record::decode(records[i]);
    if (!record)
      return fail(
          ErrorCode::kMessage,
          fmt::format("record {} of log {} cannot be read: {}; a registry must not be older "
                      "than its nodes",
                      head.first + i, head.log.hex(), record.error().message));
    columns.add(*record);
    if (const auto* decision = std::get_if<record::DecisionContent>(&record->content))
      add_values(*decision, filter);
    out.first_time_ns = std::min(out.first_time_ns, record->time_ns);
    out.last_time_ns = std::max(out.last_time_ns, record->time_ns);
  }
  NOTP_ASSIGN(out.index.head, columns.build());
  out.index.filter = std::move(filter).build();
  return out;
}

}  // namespace notp::audit
