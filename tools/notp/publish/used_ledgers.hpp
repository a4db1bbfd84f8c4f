// The models that a folder's model uses: from folders that the person names, else the heads of the
// configured registry.
#pragma once

#include <string>
#include <vector>

#include "tools/notp/command.hpp"
#include "tools/notp/publish/engine_check.hpp"

namespace notp::cli {

// `with` has words of --with, "ZONE/NAME=DIR"; `folder` is the one whose settings name the
// registry. The result asks the registry when a ledger is first asked for; it outlives neither
// `context` nor the settings' files. kUsage for a word of another form.
Result<FindUsed> used_ledgers(const Context& context, const std::filesystem::path& folder,
                              const std::vector<std::string>& with);

}  // namespace notp::cli
