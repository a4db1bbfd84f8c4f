// Which keys of a source's entry are those of its kind: the schema has the keys of all kinds.
#pragma once

#include <string_view>
#include <vector>

#include "common/config_section.hpp"
#include "common/result.hpp"

namespace notp::lane_inputs {

// kConfig: a key that is neither in `allowed` nor `name` or `kind`, unless it has the value that
// the schema gives by default; one of `needed` is missing.
Result<void> check_keys(const config::Section& section,
                        const std::vector<std::string_view>& allowed,
                        const std::vector<std::string_view>& needed);

}  // namespace notp::lane_inputs
