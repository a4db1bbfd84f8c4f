#include "notp-client/api/authzen.hpp"

#include <fmt/format.h>

#include <array>

#include "notp-client/api/data_api.hpp"

namespace notp {
namespace {

constexpr std::array<std::string_view, 4> kMembers = {"subject", "action", "resource", "context"};

enum class Semantic { kExecuteAll, kDenyOnFirstDeny, kPermitOnFirstPermit };

http::Response refuse(std::string_view message) {
  return http::error_response(400, "invalid_request", message);
}

// §5: what is missing; empty when nothing is.
std::string missing(const json::object& request) {
  const auto lacks = [&](std::string_view member, std::string_view name) -> bool {
    const json::value* value = request.if_contains(member);
    const json::value* text =
        value && value->is_object() ? value->get_object().if_contains(name) : nullptr;
    return text == nullptr || !text->is_string();
  };
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kRequired = {
      {{"subject", "type"},
       {"subject", "id"},
       {"action", "name"},
       {"resource", "type"},
       {"resource", "id"}}};
  for (const auto& [member, name] : kRequired)
    if (lacks(member, name)) return fmt::format("{}.{} is missing or not a string", member, name);
  const json::value* context = request.if_contains("context");
  return context && !context->is_object() ? "context is not an object" : "";
}

json::object denial(unsigned status, std::string_view message) {
  return {{"decision", false},
          {"context", {{"error", {{"status", status}, {"message", message}}}}}};
}

json::object decision_of(const std::optional<Bytes>& value) {
  if (!value) return {{"decision", false}};
  const auto parsed = parse_json(*value);
  if (parsed && parsed->is_bool()) return {{"decision", parsed->get_bool()}};
  const json::object* object = parsed ? parsed->if_object() : nullptr;
  const json::value* decision = object ? object->if_contains("decision") : nullptr;
  if (decision == nullptr || !decision->is_bool())
    return denial(
        500, "the decision rule gives neither a boolean nor an object with the boolean 'decision'");
  json::object out{{"decision", *decision}};
  if (const json::value* context = object->if_contains("context"); context && context->is_object())
    out["context"] = *context;
  return out;
}

Bytes input_of(const json::object& request) {
  json::object input;
  for (std::string_view member : kMembers)
    if (const json::value* value = request.if_contains(member)) input[member] = *value;
  return json::serialize(input);
}

http::Response respond(json::object body) {
  http::Response response;
  response.body = json::serialize(body);
  return response;
}

http::Response evaluate_one(const json::object& request, const AskDecision& ask) {
  if (const std::string what = missing(request); !what.empty()) return refuse(what);
  const auto value = ask(input_of(request));
  return value ? respond(decision_of(*value)) : evaluation_error_response(value.error());
}

// A member of an evaluations request, with what it leaves out taken from the top.
json::object evaluate_member(const json::object& top, const json::value& member,
                             const AskDecision& ask) {
  if (!member.is_object()) return denial(400, "an evaluation is not an object");
  json::object request = member.get_object();
  for (std::string_view name : kMembers)
    if (const json::value* fallback = top.if_contains(name); fallback && !request.contains(name))
      request[name] = *fallback;
  if (const std::string what = missing(request); !what.empty()) return denial(400, what);
  const auto value = ask(input_of(request));
  return value ? decision_of(*value) : denial(500, value.error().message);
}

std::optional<Semantic> semantic_of(const json::object& request) {
  const json::value* options = request.if_contains("options");
  if (options == nullptr) return Semantic::kExecuteAll;
  const json::object* members = options->if_object();
  if (members == nullptr) return std::nullopt;
  const json::value* semantic = members->if_contains("evaluations_semantic");
  if (semantic == nullptr || *semantic == "execute_all") return Semantic::kExecuteAll;
  if (*semantic == "deny_on_first_deny") return Semantic::kDenyOnFirstDeny;
  if (*semantic == "permit_on_first_permit") return Semantic::kPermitOnFirstPermit;
  return std::nullopt;
}

}  // namespace

http::Response authzen_evaluation(ByteView body, const AskDecision& ask) {
  const auto request = parse_json(body);
  if (!request || !request->is_object()) return refuse("the body is not a JSON object");
  return evaluate_one(request->get_object(), ask);
}

http::Response authzen_evaluations(ByteView body, const AskDecision& ask) {
  const auto request = parse_json(body);
  if (!request || !request->is_object()) return refuse("the body is not a JSON object");
  const json::object& top = request->get_object();
  const json::value* members = top.if_contains("evaluations");
  if (members && !members->is_array()) return refuse("evaluations is not an array");
  if (!members || members->get_array().empty()) return evaluate_one(top, ask);
  if (members->get_array().size() > kEvaluationsMax)
    return refuse(fmt::format("more than {} evaluations", kEvaluationsMax));
  const auto semantic = semantic_of(top);
  if (!semantic)
    return refuse(
        "options.evaluations_semantic is none of execute_all, deny_on_first_deny, "
        "permit_on_first_permit");
  json::array decisions;
  for (const json::value& member : members->get_array()) {
    json::object decision = evaluate_member(top, member, ask);
    const bool permitted = decision.at("decision").get_bool();
    decisions.push_back(std::move(decision));
    if (*semantic == Semantic::kDenyOnFirstDeny && !permitted) break;
    if (*semantic == Semantic::kPermitOnFirstPermit && permitted) break;
  }
  return respond({{"evaluations", std::move(decisions)}});
}

json::value authzen_configuration(std::string_view base_url) {
  return {{"policy_decision_point", base_url},
          {"access_evaluation_endpoint", fmt::format("{}/access/v1/evaluation", base_url)},
          {"access_evaluations_endpoint", fmt::format("{}/access/v1/evaluations", base_url)}};
}

}  // namespace notp
