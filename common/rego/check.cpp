#include "common/rego/check.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::rego {

std::string to_string(const Diagnostic& diagnostic) {
  std::string text;
  if (!diagnostic.path.empty())
    text = diagnostic.row > 0
               ? fmt::format("{}:{}:{}: ", diagnostic.path, diagnostic.row, diagnostic.column)
               : diagnostic.path + ": ";
  if (!diagnostic.code.empty()) text += diagnostic.code + ": ";
  return text + diagnostic.message;
}

bool CheckReport::valid() const {
  return std::ranges::all_of(findings, &Diagnostic::warning) &&
         std::ranges::all_of(tests, [](const TestResult& test) {
           return test.outcome == TestOutcome::kPass || test.outcome == TestOutcome::kSkipped;
         });
}

}  // namespace notp::rego
