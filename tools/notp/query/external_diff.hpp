// Shows how files differ, with the user's diff program.
#pragma once

#include <string>
#include <vector>

#include "common/config.hpp"
#include "protocol/model/tree.hpp"
#include "tools/notp/publish/plan.hpp"

namespace notp::cli {

// Writes the changed files of both sides into two folders named `before_name` and `after_name` in a
// temporary folder, and runs NOTP_EXTERNAL_DIFF (words between spaces) or `git diff --no-index` on
// them with this process's standard output. kIo; kUsage when the program does not exist.
Result<void> run_external_diff(const Environment& environment, bool colour,
                               const std::vector<Change>& changes,
                               const model::ModelContent& before, const std::string& before_name,
                               const model::ModelContent& after, const std::string& after_name);

}  // namespace notp::cli
