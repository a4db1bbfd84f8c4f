// Damages one content in the store of a stopped agent, like a failing disk.
#pragma once

#include <filesystem>

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace notp::bench {

// Flips a bit of `content` wherever the store's file holds it verbatim, as it does small files.
// kNotFound when it does not; kIo.
Result<void> damage(const std::filesystem::path& store, ByteView content);

}  // namespace notp::bench
