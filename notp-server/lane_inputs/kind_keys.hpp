// Which keys of a source's entry are those of its kind: the schema has the keys of all kinds.
#pragma once

#include <initializer_list>
#include <string_view>

#include "common/config_section.hpp"
#include "common/result.hpp"

namespace notp::lane_inputs {

// kConfig: a key that is neither in `allowed` nor `name` or `kind`, unless it has the value that
// the schema gives by default; one of `needed` is missing.
Result<void> check_keys(const config::Section& section,
                        std::initializer_list<std::string_view> allowed,
                        std::initializer_list<std::string_view> needed);

}  // namespace notp::lane_inputs
