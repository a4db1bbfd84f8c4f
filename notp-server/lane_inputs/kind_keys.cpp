#include "notp-server/lane_inputs/kind_keys.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::lane_inputs {

Result<void> check_keys(const config::Section& section,
                        const std::vector<std::string_view>& allowed,
                        const std::vector<std::string_view>& needed) {
  for (const std::string_view key : needed)
    if (!section.has(key))
      return fail(ErrorCode::kConfig,
                  fmt::format("{} is missing, which kind {} needs", key, section.text("kind")));
  for (const std::string& key : section.names()) {
    if (key == "name" || key == "kind") continue;
    if (std::ranges::find(allowed, key) == allowed.end())
      return fail(ErrorCode::kConfig,
                  fmt::format("kind {} has no key {}", section.text("kind"), key));
  }
  return {};
}

}  // namespace notp::lane_inputs
