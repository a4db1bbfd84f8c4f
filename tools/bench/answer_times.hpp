// How much later a PEP's answer comes because its decision is recorded.
#pragma once

#include "notp-client/spool/decision_log.hpp"
#include "tools/bench/samples.hpp"

namespace notp::bench {

// Records `count` decisions with inputs of 1 KiB, as the agent does between the evaluation and the
// answer: three pointers of a manifest and the signature of a token are masked. Returns the time of
// each in ms. kIo, kAuditUnavailable.
Result<Samples> measure_answers(spool::DecisionLog& log, uint64_t seed, size_t count);

}  // namespace notp::bench
