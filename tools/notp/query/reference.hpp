// Parses references to releases on the command line.
#pragma once

#include <string>

#include "protocol/model/ledger.hpp"

namespace notp::cli {

// "v41" or "41", from 1 to kVersionMax. kUsage.
Result<uint64_t> parse_version(std::string_view text);

struct ReleaseReference {
  model::LedgerId ledger;
  uint64_t version = 0;  // 0: the head
};
// "<zone>/<name>" or "<zone>/<name>@v41". kUsage.
Result<ReleaseReference> parse_reference(std::string_view text);

}  // namespace notp::cli
