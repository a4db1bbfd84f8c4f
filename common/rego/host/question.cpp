#include "common/rego/host/question.hpp"

namespace notp::rego {
namespace {

std::string_view in_context(const Error& error, std::string_view wanted) {
  for (const auto& [key, text] : error.context)
    if (key == wanted) return text;
  return {};
}

}  // namespace

std::string_view evaluation_errors(const Error& error) {
  return in_context(error, kEvaluationErrorsKey);
}

std::string_view evaluation_extras(const Error& error) {
  return in_context(error, kEvaluationExtrasKey);
}

}  // namespace notp::rego
