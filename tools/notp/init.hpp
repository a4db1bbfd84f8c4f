// The minimal model of `notp init`, for other commands that start from one.
#pragma once

#include <filesystem>

#include "protocol/model/ledger.hpp"

namespace notp::cli {

// Writes the model into a folder that has none of its files. kUsage when one exists: nothing is
// written then. kIo.
Result<void> write_minimal_model(const std::filesystem::path& folder,
                                 const model::LedgerId& ledger);
// The name of the minimal model's package.
std::string minimal_model_package(const model::LedgerId& ledger);

}  // namespace notp::cli
