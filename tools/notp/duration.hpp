// Durations as users write them.
#pragma once

#include <CLI/CLI.hpp>
#include <string_view>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace notp::cli {

// "90s", "30m", "1h", "2d". kUsage.
Result<TimeMs> parse_duration(std::string_view text);

// Converts the value of an option, a duration or a plain number of seconds, to seconds.
CLI::Validator duration_in_seconds();

}  // namespace notp::cli
