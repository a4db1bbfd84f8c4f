// A node's own newest recorded decisions, for its replay gate.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "notp-client/spool/segment_source.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/record/record.hpp"

namespace notp::agent {

struct GateRecord {
  std::string decision_id;
  uint32_t run = 0;
  record::DecisionContent decision;
  std::shared_ptr<const record::ActiveSet> active;  // that decided; null: not known any more
};

struct GateReading {
  std::map<model::LedgerId, size_t> wanted;  // how many of each ledger
  uint64_t bytes_max = 0;                    // of all records that are returned
  std::chrono::steady_clock::time_point until;
  std::function<bool()> go_on;  // asked between two segments
};

// Newest first; of the open log, as far as it is kept here, whichever releases decided. What is in
// no segment yet is sealed first, once; if the disk takes nothing, that is missing. Fewer than
// wanted when there are no more, or time or bytes end. Blocking. kCorrupt, kIo and the errors of an
// unreadable segment.
Result<std::map<model::LedgerId, std::vector<GateRecord>>> newest_records(
    spool::SegmentSource& log, const GateReading& reading);

}  // namespace notp::agent
