// Every regular file below a folder, for scans after what must not be at rest.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "tests/support/process/process.hpp"

namespace notp {

// `look` gets the path and the whole text.
inline void for_each_file(
    const std::filesystem::path& folder,
    const std::function<void(const std::string& place, const std::string& text)>& look) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) look(entry.path().string(), read_text(entry.path()));
}

}  // namespace notp
