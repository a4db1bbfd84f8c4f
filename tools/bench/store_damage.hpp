// One damaged content in the store of an agent that does not run: what a failing disk does.
#pragma once

#include <filesystem>

#include "common/result.hpp"

namespace notp::bench {

// Flips the last byte of one small file of the newest release. kNotFound when it has none; kIo,
// kCorrupt.
Result<void> damage_a_file(const std::filesystem::path& store);

}  // namespace notp::bench
