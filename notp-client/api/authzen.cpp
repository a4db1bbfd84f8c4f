#include "notp-client/api/authzen.hpp"

#include <fmt/format.h>

#include <array>

#include "notp-client/api/data_api.hpp"

namespace notp {
namespace {

constexpr std::array<std::string_view, 4> kMembers = {"subject", "action", "resource", "context"};

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

// `member` with what it leaves out taken from the top.
json::object with_defaults(const json::object& top, const json::object& member) {
  json::object request = member;
  for (std::string_view name : kMembers)
    if (const json::value* fallback = top.if_contains(name); fallback && !request.contains(name))
      request[name] = *fallback;
  return request;
}

std::optional<AuthzenSemantic> semantic_of(const json::object& request) {
  const json::value* options = request.if_contains("options");
  if (options == nullptr) return AuthzenSemantic::kExecuteAll;
  const json::object* members = options->if_object();
  if (members == nullptr) return std::nullopt;
  const json::value* semantic = members->if_contains("evaluations_semantic");
  if (semantic == nullptr || *semantic == "execute_all") return AuthzenSemantic::kExecuteAll;
  if (*semantic == "deny_on_first_deny") return AuthzenSemantic::kDenyOnFirstDeny;
  if (*semantic == "permit_on_first_permit") return AuthzenSemantic::kPermitOnFirstPermit;
  return std::nullopt;
}

}  // namespace

std::expected<AuthzenRequest, http::Response> AuthzenRequest::parse(ByteView body, bool several) {
  const auto request = parse_json(body);
  if (!request || !request->is_object())
    return std::unexpected(refuse("the body is not a JSON object"));
  const json::object& top = request->get_object();
  const json::value* members = several ? top.if_contains("evaluations") : nullptr;
  if (members && !members->is_array())
    return std::unexpected(refuse("evaluations is not an array"));
  AuthzenRequest out;
  if (!members || members->get_array().empty()) {
    if (const std::string what = missing(top); !what.empty()) return std::unexpected(refuse(what));
    out.inputs_.emplace_back(input_of(top));
    out.members_.emplace_back(size_t{0});
    return out;
  }
  out.several_ = true;
  if (members->get_array().size() > kEvaluationsMax)
    return std::unexpected(refuse(fmt::format("more than {} evaluations", kEvaluationsMax)));
  const auto semantic = semantic_of(top);
  if (!semantic)
    return std::unexpected(
        refuse("options.evaluations_semantic is none of execute_all, deny_on_first_deny, "
               "permit_on_first_permit"));
  out.semantic_ = *semantic;
  for (const json::value& member : members->get_array()) {
    if (!member.is_object()) {
      out.members_.emplace_back(denial(400, "an evaluation is not an object"));
      continue;
    }
    const json::object asked = with_defaults(top, member.get_object());
    if (const std::string what = missing(asked); !what.empty()) {
      out.members_.emplace_back(denial(400, what));
      continue;
    }
    out.members_.emplace_back(out.inputs_.size());
    out.inputs_.emplace_back(input_of(asked));
  }
  return out;
}

http::Response AuthzenRequest::respond(
    const Result<std::vector<Result<Decision>>>& decisions) const {
  if (!several_) {
    if (!decisions) return evaluation_error_response(decisions.error());
    const Result<Decision>& one = decisions->front();
    return one ? notp::respond(decision_of(one->value)) : evaluation_error_response(one.error());
  }
  json::array out;
  for (const Member& member : members_) {
    json::object decision;
    if (const auto* denied = std::get_if<json::object>(&member)) {
      decision = *denied;
    } else if (!decisions) {
      decision = denial(500, decisions.error().message);
    } else {
      const Result<Decision>& one = (*decisions)[std::get<size_t>(member)];
      decision = one ? decision_of(one->value) : denial(500, one.error().message);
    }
    const bool permitted = decision.at("decision").get_bool();
    out.push_back(std::move(decision));
    if (semantic_ == AuthzenSemantic::kDenyOnFirstDeny && !permitted) break;
    if (semantic_ == AuthzenSemantic::kPermitOnFirstPermit && permitted) break;
  }
  return notp::respond({{"evaluations", std::move(out)}});
}

json::value authzen_configuration(std::string_view base_url) {
  return {{"policy_decision_point", base_url},
          {"access_evaluation_endpoint", fmt::format("{}/access/v1/evaluation", base_url)},
          {"access_evaluations_endpoint", fmt::format("{}/access/v1/evaluations", base_url)}};
}

}  // namespace notp
