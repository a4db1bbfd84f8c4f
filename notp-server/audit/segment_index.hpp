// Makes the index of a segment that has arrived.
#pragma once

#include <span>

#include "notp-server/audit/audit_store.hpp"

namespace notp::audit {

struct BuiltIndex {
  SegmentIndex index;
  int64_t first_time_ns = 0, last_time_ns = 0;  // smallest and largest time of its records
};

// Decodes every record; kMessage names the position of one that this program cannot read.
Result<BuiltIndex> build_index(const record::SegmentHead& head,
                               const record::OpenedSegment& segment);
// Of a segment from which records were taken out: those are empty. Without any record the first
// time is above the last.
Result<BuiltIndex> build_index(const record::SegmentHead& head, std::span<const ByteView> records);

}  // namespace notp::audit
