// What mirrors do, for people and programs: documents, lines and log events.
#pragma once

#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "tools/notp/mirror/mirror_metrics.hpp"
#include "tools/notp/output.hpp"

namespace notp::cli {

// {"mirrors": […], "ok": true}: `ok` unless a person has to look at one of them.
json::object mirrors_json(const std::vector<MirrorReport>& reports, TimeMs now_ms);
// A row for each, and below the table what each has to say.
std::string mirrors_text(const Output& output, const std::vector<MirrorReport>& reports,
                         TimeMs now_ms);
// As in "3 mirrors: 2 current, 1 held".
std::string mirrors_line(const std::vector<MirrorReport>& reports);

// Logs what has changed between two passes: a release, a state, a reason.
void log_mirror_change(const MirrorConfig& config, const MirrorStatus& before,
                       const MirrorStatus& after);

}  // namespace notp::cli
