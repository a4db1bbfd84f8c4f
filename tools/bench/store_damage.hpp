// One damaged content in the store of an agent that does not run: what a failing disk does.
#pragma once

#include <filesystem>

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace notp::bench {

// Flips a bit of `content` wherever the store's file holds it as it is, as it does small files.
// kNotFound when it does not; kIo.
Result<void> damage(const std::filesystem::path& store, ByteView content);

}  // namespace notp::bench
