// Segments of a fleet through the registry's intake into its store.
#pragma once

#include "tools/bench/audit_suite.hpp"
#include "tools/bench/recorded_fleet.hpp"

namespace notp::bench {

// Takes in all segments of the fleet, as if they had arrived over some days. kIo; kInternal: a
// segment was refused.
Result<IngestFigures> measure_ingest(const std::filesystem::path& store, RecordedFleet& fleet,
                                     uint64_t records,
                                     const std::function<void(const std::string&)>& progress);

}  // namespace notp::bench
