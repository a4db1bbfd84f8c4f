#include "protocol/model/test_code.hpp"

#include <algorithm>

#include "protocol/model/data.hpp"
#include "protocol/model/manifest.hpp"

namespace notp::model {
namespace {

constexpr std::string_view kTestSuffix = "_test.rego";

bool lies_below_tests(std::string_view path) {
  return path.starts_with("tests/") || path.contains("/tests/");
}

}  // namespace

bool is_policy_file(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.ends_with(kRegoSuffix) && name.size() > kRegoSuffix.size();
}

bool is_test_module(std::string_view path) {
  return path.ends_with(kTestSuffix) || (is_policy_file(path) && lies_below_tests(path));
}

bool is_test_data(std::string_view path, const std::vector<std::string>& data_roots) {
  if (!is_data_file(path) || !lies_below_tests(path)) return false;
  const std::string_view folder = path.substr(0, path.rfind('/'));
  return roots_overlap({std::string(folder)}, data_roots).empty();
}

}  // namespace notp::model
