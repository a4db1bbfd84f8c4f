// Coefficients from what notp-bench's suites have measured: the JSON that `fanout`, `idle` and
// `reconnect` write. No I/O.
#pragma once

#include "common/json/json.hpp"
#include "tools/notp/capacity/coefficients.hpp"

namespace notp::cli {

// Puts the figures of one run in the place of those that were there:
//   fanout     push_us, of the row with Commits
//   idle       renew_us, session_bytes, registry_bytes
//   reconnect  connect_us, of all sessions dialled at once
// kConfig: it is no run of one of these suites, or lacks a figure above 0.
Result<void> take_run(Coefficients& costs, const json::value& run);

}  // namespace notp::cli
