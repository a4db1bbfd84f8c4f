#include "notp-client/api/data_api.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"

namespace notp {
namespace {

constexpr std::string_view kPrefix = "/v1/data";

std::unexpected<http::Response> refuse(std::string_view message) {
  return std::unexpected(http::error_response(400, "invalid_parameter", message));
}

}  // namespace

std::expected<DataQuestion, http::Response> parse_data_question(const http::Request& request) {
  DataQuestion question{path_segments(std::string_view(request.path).substr(kPrefix.size())),
                        std::nullopt};
  if (request.method != "POST") {
    const auto input = request.parameter("input");
    if (!input) return question;
    if (const auto parsed = parse_json(*input); !parsed)
      return refuse(
          fmt::format("parameter 'input' is not usable JSON: {}", parsed.error().message));
    question.input = *input;
    return question;
  }
  if (request.body.find_first_not_of(" \t\r\n") == Bytes::npos) return question;
  const auto body = parse_json(request.body);
  if (!body) return refuse(fmt::format("the body is not usable JSON: {}", body.error().message));
  if (!body->is_object()) return refuse("the body must be a JSON object with the member 'input'");
  if (const json::value* input = body->get_object().if_contains("input"))
    question.input = json::serialize(*input);
  return question;
}

http::Response data_answer(const Result<Decision>& decision, bool pretty) {
  if (!decision) return evaluation_error_response(decision.error());
  http::Response response;
  response.body = decision->value ? fmt::format("{{\"result\":{}}}", *decision->value) : "{}";
  if (pretty)
    if (const auto parsed = parse_json(response.body)) response.body = pretty_json(*parsed) + "\n";
  return response;
}

http::Response evaluation_error_response(const Error& error) {
  switch (error.code) {
    case ErrorCode::kMessage:
    case ErrorCode::kUsage:
      return http::error_response(400, "invalid_parameter", error.message);
    case ErrorCode::kLimit:
      return http::error_response(413, "request_too_large", error.message);
    case ErrorCode::kUnavailable:
      return http::error_response(503, "unavailable", error.message);
    case ErrorCode::kQuarantined:
      return http::error_response(503, "quarantined", error.message);
    case ErrorCode::kOverloaded:
      return http::error_response(503, "overloaded", error.message);
    case ErrorCode::kTimeout:
      return http::error_response(500, "evaluation_timeout", error.message);
    default:
      return http::error_response(500, "internal_error", error.message);
  }
}

}  // namespace notp
