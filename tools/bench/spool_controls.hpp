// The controls of the suite "spool": the disk, the hash and OPA's compression alone.
#pragma once

#include "tools/bench/decision_workload.hpp"
#include "tools/bench/spool_suite.hpp"

namespace notp::bench {

// `seconds` bounds the loop of fdatasync; `batches` of 1,024 records are written. kIo.
Result<SpoolControls> measure_spool_controls(const std::filesystem::path& folder,
                                             const DecisionWorkload& work, double seconds,
                                             size_t batches);
// OPA's events of the workload, one text each.
std::vector<Bytes> opa_events(const DecisionWorkload& work);

}  // namespace notp::bench
