// Why an event of a source is not taken. Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp::lane_inputs {

// An error whose context names the broken rule, stable, as in README.md.
std::unexpected<Error> refuse(std::string_view rule, std::string message);
// Returns the name of the rule; empty: the error refuses no event.
std::string_view rule_of(const Error& error);

}  // namespace notp::lane_inputs
