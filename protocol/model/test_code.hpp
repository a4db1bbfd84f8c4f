// Classifies the files of a model that serve only its tests, by the conventions of `opa test`.
// Nodes do not load them, so they may lie outside of the data roots.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace notp::model {

inline constexpr std::string_view kRegoSuffix = ".rego";

// Whether it is a policy, tests included: "*.rego" with a name before the dot.
bool is_policy_file(std::string_view path);

// Whether it is a policy that is a test or serves tests: "*_test.rego", or any below a folder
// "tests".
bool is_test_module(std::string_view path);

// Whether it is a data document below a folder "tests" that is not within, and not above, one of
// the data roots ("a/b"). Within the roots a document is data, whatever its folder is called.
bool is_test_data(std::string_view path, const std::vector<std::string>& data_roots);

}  // namespace notp::model
