#include "notp-client/pdp/opa_question.hpp"

#include <fmt/format.h>

#include <array>

#include "common/json/json_members.hpp"
#include "common/percent.hpp"

namespace notp::pdp {
namespace {

bool is_plain(InputForm form) {
  return form == InputForm::kPlainBody || form == InputForm::kPlainBodyYaml;
}

bool is_yaml(InputForm form) {
  return form == InputForm::kBodyYaml || form == InputForm::kPlainBodyYaml;
}

std::string escape_path(const std::vector<std::string>& segments) {
  std::string out;
  for (const std::string& segment : segments) {
    out.push_back('/');
    // A segment of one or two dots is a step in a path, not a name.
    const bool is_step = segment == "." || segment == "..";
    out += percent_encode(segment, is_step ? "-_~" : "-._~");
  }
  return out;
}

std::string_view name_of(ExplainMode mode) {
  switch (mode) {
    case ExplainMode::kNotes:
      return "notes";
    case ExplainMode::kFails:
      return "fails";
    case ExplainMode::kFull:
      return "full";
    case ExplainMode::kDebug:
      return "debug";
    case ExplainMode::kOff:
      break;
  }
  return {};
}

std::string parameters(const Question& question) {
  constexpr std::array<std::pair<uint32_t, std::string_view>, 5> kNames = {
      {{rego::kStrictBuiltinErrors, "strict-builtin-errors"},
       {rego::kMetrics, "metrics"},
       {rego::kPrettyExplanation, "pretty"},
       {rego::kInstrument, "instrument"},
       {rego::kRuleLabels, "rule_labels"}}};
  std::string out;
  const auto add = [&](std::string_view name, std::string_view value) {
    out += fmt::format("{}{}={}", out.empty() ? '?' : '&', name, value);
  };
  for (const auto& [flag, name] : kNames)
    if ((question.flags & flag) != 0) add(name, "true");
  if (question.explain != ExplainMode::kOff) add("explain", name_of(question.explain));
  return out;
}

// The members of OPA's answer that a decision passes on.
Bytes extras_of(std::span<const JsonMember> members) {
  Bytes out;
  for (const JsonMember& member : members) {
    if (member.name != "explanation" && member.name != "metrics" && member.name != "rule_labels")
      continue;
    out += out.empty() ? "{\"" : ",\"";
    out += member.name;
    out += "\":";
    out += member.value;
  }
  if (!out.empty()) out.push_back('}');
  return out;
}

struct Refusal {
  std::string code, message;
  Bytes errors;  // JSON; empty: none
};

Refusal refusal_of(const http::Response& answer) {
  Refusal refusal{{}, fmt::format("OPA answered {}", answer.status), {}};
  const auto members = json_members(answer.body);
  if (!members) return refusal;
  const auto text = [&](ByteView name, std::string& into) {
    const auto raw = json_member(*members, name);
    const auto parsed = raw ? parse_json(*raw) : fail(ErrorCode::kMessage, {});
    if (parsed && parsed->is_string()) into = parsed->get_string();
  };
  text("code", refusal.code);
  text("message", refusal.message);
  refusal.errors = json_member(*members, "errors").value_or(ByteView());
  return refusal;
}

Result<Decision> refused(const http::Response& answer, ActiveSetPtr active) {
  Refusal refusal = refusal_of(answer);
  if (answer.status == 404 && refusal.code == "undefined_document")
    return Decision{.active = std::move(active),
                    .has_input = true,
                    .rule_exists = refusal.message.starts_with("document undefined")};
  // An impossible path is the caller's error, although OPA answers 500.
  constexpr std::string_view kParameter = "invalid_parameter: ";
  const bool is_path = refusal.message.starts_with(kParameter);
  if (is_path) refusal.message.erase(0, kParameter.size());
  const bool is_ours = answer.status == 400 || is_path;
  if (!is_ours && answer.status != 500)
    return fail(ErrorCode::kUnavailable,
                fmt::format("OPA answered {}: {}", answer.status, refusal.message));
  Error error{is_ours ? ErrorCode::kMessage : ErrorCode::kInvalidModel, refusal.message, {}};
  if (!refusal.errors.empty())
    error.context.emplace_back(rego::kEvaluationErrorsKey, std::move(refusal.errors));
  return std::unexpected(std::move(error));
}

}  // namespace

Result<http::Call> opa_call(std::string_view url, const Question& question,
                            const InputText& input) {
  const bool plain = is_plain(question.form);
  if (!question.path.empty() && question.path.back().ends_with('/'))
    return fail(ErrorCode::kMessage,
                "OPA takes a slash at the end of a path for none, however it is escaped: a "
                "document of such a name is not to be had there");
  http::Call call{
      .method = "POST",
      .url = fmt::format("{}/v{}/data{}{}", url, plain ? 0 : 1, escape_path(question.path),
                         plain ? std::string() : parameters(question)),
      .headers = {
          {"Content-Type", is_yaml(question.form) ? "application/yaml" : "application/json"}}};
  if (question.form != InputForm::kValue) {
    if (input) call.body = *input;
  } else if (input) {
    // Text after a value would be read as another member, or not at all.
    if (!is_json(*input))
      return fail(ErrorCode::kMessage,
                  "parameter contains malformed input document: it is not one JSON value");
    call.body.reserve(input->size() + 16);
    call.body += R"({"input":)";
    call.body += *input;
    call.body += '}';
  } else {
    call.body = "{}";
  }
  return call;
}

Result<Decision> opa_decision(InputForm form, const http::Response& answer, ActiveSetPtr active) {
  if (answer.status != 200) return refused(answer, std::move(active));
  Decision decision{.active = std::move(active)};
  if (is_plain(form)) {
    decision.has_input = decision.rule_exists = true;
    decision.value = answer.body.substr(0, answer.body.find_last_not_of(" \r\n\t") + 1);
    return decision;
  }
  const auto members = json_members(answer.body);
  if (!members) return fail(ErrorCode::kUnavailable, "OPA's answer is not a JSON object");
  if (const auto result = json_member(*members, "result")) decision.value = Bytes(*result);
  decision.has_input = !json_member(*members, "warning").value_or("").contains("api_usage_warning");
  decision.rule_exists = decision.value.has_value();
  decision.extras = extras_of(*members);
  if (const auto id = json_member(*members, "decision_id"))
    if (const auto text = parse_json(*id); text && text->is_string())
      decision.id = text->get_string();
  return decision;
}

}  // namespace notp::pdp
