#include "notp-client/api/data_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>

#include "common/json/json.hpp"
#include "common/json/json_indent.hpp"
#include "common/json/json_members.hpp"

namespace notp::api {
namespace {

constexpr std::string_view kPrefix = "/v1/data", kPlainPrefix = "/v0/data";
constexpr std::string_view kFailed = "error(s) occurred while evaluating query";
constexpr std::string_view kNoInput =
    R"({"code":"api_usage_warning","message":"'input' key missing from the request"})";
constexpr std::string_view kBundleName = "notp";
constexpr unsigned kNotFound = 404;

bool is_yaml(const http::Request& request) {
  return request.header("Content-Type").contains("yaml");
}

pdp::ExplainMode explain_of(const http::Request& request) {
  constexpr std::array<std::pair<std::string_view, pdp::ExplainMode>, 4> kModes = {
      {{"notes", pdp::ExplainMode::kNotes},
       {"fails", pdp::ExplainMode::kFails},
       {"full", pdp::ExplainMode::kFull},
       {"debug", pdp::ExplainMode::kDebug}}};
  for (const std::string& value : request.parameters("explain"))
    for (const auto& [name, mode] : kModes)
      if (value == name) return mode;
  return pdp::ExplainMode::kOff;
}

uint32_t flags_of(const http::Request& request) {
  constexpr std::array<std::pair<std::string_view, uint32_t>, 5> kFlags = {
      {{"strict-builtin-errors", rego::kStrictBuiltinErrors},
       {"metrics", rego::kMetrics},
       {"instrument", rego::kInstrument | rego::kMetrics},
       {"rule_labels", rego::kRuleLabels},
       {"pretty", rego::kPrettyExplanation}}};
  uint32_t flags = 0;
  for (const auto& [name, bits] : kFlags)
    if (flag_parameter(request, name)) flags |= bits;
  return flags;
}

// The versions are those of the engine, which OPA's clients expect under these names.
std::string provenance_text(const pdp::Decision& decision, const std::string& version) {
  const std::string revision = decision.active ? decision.active->revision() : std::string();
  return json::serialize(json::object{{"version", version},
                                      {"build_commit", ""},
                                      {"build_timestamp", ""},
                                      {"build_hostname", ""},
                                      {"bundles", {{kBundleName, {{"revision", revision}}}}}});
}

// Writes the members of an object.
class Members {
 public:
  // `value` is JSON; an empty one is skipped.
  void add(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    text_ += text_.empty() ? '{' : ',';
    text_ += fmt::format("\"{}\":", name);
    text_ += value;
  }
  Bytes take() && { return text_.empty() ? "{}" : std::move(text_) + "}"; }

 private:
  Bytes text_;
};

http::Response policy_failed(const Error& error) {
  Members members;
  members.add("code", "\"internal_error\"");
  const std::string_view errors = rego::evaluation_errors(error);
  members.add("message", json_string(errors.empty() ? error.message : kFailed));
  members.add("errors", errors);
  http::Response response = json_text_response(std::move(members).take(), /*pretty=*/true);
  response.status = 500;
  return response;
}

}  // namespace

bool flag_parameter(const http::Request& request, std::string_view name) {
  const auto values = request.parameters(name);
  if (values.size() == 1 && values.front().empty()) return true;
  return std::ranges::any_of(
      values, [](const std::string& value) { return boost::beast::iequals(value, "true"); });
}

DataQuestion parse_data_question(const http::Request& request) {
  DataQuestion asked;
  asked.pretty = flag_parameter(request, "pretty");
  asked.provenance = flag_parameter(request, "provenance");
  asked.is_post = request.method == "POST";
  pdp::Question& question = asked.question;
  question.path = request.segments_below(kPrefix);
  question.flags = flags_of(request);
  question.explain = explain_of(request);
  if (asked.is_post) {
    question.form = is_yaml(request) ? pdp::InputForm::kBodyYaml : pdp::InputForm::kBody;
    question.inputs.emplace_back(request.body);
    return asked;
  }
  auto inputs = request.parameters("input");
  if (inputs.empty())
    question.inputs.emplace_back(std::nullopt);
  else
    question.inputs.emplace_back(std::move(inputs.back()));
  return asked;
}

DataQuestion parse_plain_question(const http::Request& request) {
  DataQuestion asked;
  asked.pretty = flag_parameter(request, "pretty");
  asked.is_post = true;
  if (request.path.starts_with(kPlainPrefix))
    asked.question.path = request.segments_below(kPlainPrefix);
  asked.question.form =
      is_yaml(request) ? pdp::InputForm::kPlainBodyYaml : pdp::InputForm::kPlainBody;
  asked.question.inputs.emplace_back(request.body);
  return asked;
}

http::Response json_text_response(Bytes body, bool pretty) {
  http::Response response;
  response.body = pretty ? indent_json(body) : std::move(body);
  response.body += '\n';
  response.may_compress = true;
  return response;
}

http::Response data_answer(const AnswerOptions& options, const Result<pdp::Decision>& decision) {
  if (!decision) return evaluation_error_response(decision.error());
  const auto extras = json_members(decision->extras).value_or(std::vector<JsonMember>());
  Members members;
  members.add("decision_id", fmt::format("\"{}\"", options.decision_id));
  if (options.engine_version)
    members.add("provenance", provenance_text(*decision, *options.engine_version));
  members.add("explanation", json_member(extras, "explanation").value_or(ByteView()));
  members.add("metrics", json_member(extras, "metrics").value_or(ByteView()));
  if (decision->value) members.add("result", *decision->value);
  members.add("rule_labels", json_member(extras, "rule_labels").value_or(ByteView()));
  if (options.warns_without_input && !decision->has_input) members.add("warning", kNoInput);
  return json_text_response(std::move(members).take(), options.pretty);
}

http::Response plain_answer(const std::vector<std::string>& path,
                            const Result<pdp::Decision>& decision, bool pretty) {
  if (!decision) return evaluation_error_response(decision.error());
  if (decision->value) return json_text_response(*decision->value, pretty);
  const std::string_view what = decision->rule_exists ? "document undefined" : "document missing";
  return http::error_response(kNotFound, "undefined_document",
                              fmt::format("{}: {}", what, pdp::reference_text(path)));
}

http::Response evaluation_error_response(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidModel:
      return policy_failed(error);
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
    case ErrorCode::kAuditUnavailable:
      return http::error_response(503, "audit_unavailable", error.message);
    case ErrorCode::kTimeout:
      return http::error_response(500, "evaluation_timeout", error.message);
    default:
      return http::error_response(500, "internal_error", error.message);
  }
}

}  // namespace notp::api
