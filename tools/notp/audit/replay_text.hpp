// Reports of replays, for people and as JSON.
#pragma once

#include "tools/notp/audit/json_text.hpp"
#include "tools/notp/audit/replay.hpp"
#include "tools/notp/output.hpp"

namespace notp::cli {

// A line for the decision and one for what came out then and now, or why nothing can be said.
std::string replayed_text(const Output& output, const ReplayedDecision& decision);

// How often one outcome became another one, by path; empty without any.
std::string changes_table(const Output& output, const ReplayReport& report);
// Why nothing can be said, with counts, a line each; empty without any.
std::string obstacles_text(const ReplayReport& report);

// Members "decisions" (how many), "same", "differs", "cannot", "obstacles", "unrecorded",
// "changes", "listed" and "more". `front`: further members before them.
Bytes replay_json(const ReplayReport& report, JsonObject front);

}  // namespace notp::cli
