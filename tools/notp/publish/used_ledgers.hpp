// Finds the models that a folder's model uses: in folders that the user names, else the heads of
// the configured registry.
#pragma once

#include <string>
#include <vector>

#include "tools/notp/command.hpp"
#include "tools/notp/publish/engine_check.hpp"

namespace notp::cli {

// The head of a ledger, as a model that another one uses; connects to the registry of the settings.
// kNotFound: it has no release.
Result<model::UsedModel> used_head(const model::LedgerId& ledger, const Settings& settings,
                                   const Environment& environment, const Output& output);

// `with` holds values of --with, "ZONE/NAME=DIR"; `folder` is the one whose settings name the
// registry. The result connects to the registry at the first request for a ledger; `context` and
// the settings' files must outlive it. kUsage for a malformed value.
Result<model::FindUsed> used_ledgers(const Context& context, const std::filesystem::path& folder,
                                     const std::vector<std::string>& with);

}  // namespace notp::cli
