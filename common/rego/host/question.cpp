#include "common/rego/host/question.hpp"

namespace notp::rego {

std::string_view evaluation_errors(const Error& error) {
  for (const auto& [key, text] : error.context)
    if (key == kEvaluationErrorsKey) return text;
  return {};
}

}  // namespace notp::rego
