// Which files of a model are there for its tests alone, by the conventions of `opa test`. No node
// loads them, and so they may lie outside of the data roots.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace notp {

inline constexpr std::string_view kRegoSuffix = ".rego";

// A policy, tests included: "*.rego" with a name before the dot.
bool is_policy_file(std::string_view path);

// A policy that is a test or serves tests: "*_test.rego", or any below a folder "tests".
bool is_test_module(std::string_view path);

// A data document below a folder "tests" that is not within, and not above, one of the data roots
// ("a/b"). Within the roots a document is data, whatever its folder is called.
bool is_test_data(std::string_view path, const std::vector<std::string>& data_roots);

}  // namespace notp
