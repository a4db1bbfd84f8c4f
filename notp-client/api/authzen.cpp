#include "notp-client/api/authzen.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/beast/core/string.hpp>

#include "common/json/json_members.hpp"
#include "notp-client/api/data_api.hpp"

namespace notp::api {
namespace {

using Members = std::vector<JsonMember>;

constexpr std::array<std::string_view, 4> kMembers = {"subject", "action", "resource", "context"};
constexpr unsigned kBadRequest = 400, kTooLarge = 413, kInternalError = 500;

// Returns the last value of that name, as OPA does; empty without one.
ByteView member_of(const Members& members, std::string_view name) {
  return json_member(members, name).value_or(ByteView());
}

std::unexpected<http::Response> refuse(std::string_view message) {
  return std::unexpected(http::error_response(kBadRequest, "invalid_request", message));
}

bool is_string(ByteView value) { return value.starts_with('"'); }
bool is_object(ByteView value) { return value.starts_with('{'); }

// An entity of an evaluation, as views of the body.
struct Entity {
  ByteView text;                   // empty: absent
  std::optional<Members> members;  // nullopt unless it is an object
  Bytes added;                     // members of the default, to be put before its own

  const Bytes& append_to(Bytes& out) const {
    if (added.empty()) return out += text;
    out += '{';
    out += added;
    return out += text.substr(1);
  }
  ByteView member(std::string_view name) const {
    return members ? member_of(*members, name) : ByteView();
  }
};
using Entities = std::array<Entity, kMembers.size()>;  // as kMembers

Entities entities_of(const JsonOutline& body, const Members& object) {
  Entities entities;
  for (size_t i = 0; i < kMembers.size(); ++i) {
    const ByteView text = member_of(object, kMembers[i]);
    entities[i].text = text;
    if (is_object(text)) entities[i].members = body.members(text);
  }
  return entities;
}

// Returns an entity's own value, or else the default at the top. A partial entity gets the required
// members that it misses from the default.
Entity with_default(Entity own, const Entity& fallback) {
  if (own.text.empty()) return fallback;
  if (!own.members || !fallback.members) return own;
  const bool is_empty = own.members->empty();
  for (std::string_view required : {"type", "id", "name"}) {
    const ByteView value = fallback.member(required);
    if (value.empty() || !own.member(required).empty()) continue;
    own.added += fmt::format("\"{}\":{},", required, value);
    own.members->push_back({required, value});
  }
  if (is_empty && !own.added.empty()) own.added.pop_back();
  return own;
}

// AuthZEN 1.0 section 5: returns what is missing; empty: nothing.
std::string missing_of(const Entities& entities) {
  struct Required {
    size_t entity;
    std::string_view name;
  };
  constexpr std::array<Required, 5> kRequired = {
      {{0, "type"}, {0, "id"}, {1, "name"}, {2, "type"}, {2, "id"}}};
  for (const auto& [entity, name] : kRequired)
    if (!is_string(entities[entity].member(name)))
      return fmt::format("{}.{} is missing or not a string", kMembers[entity], name);
  const Entity& context = entities.back();
  return context.text.empty() || is_object(context.text) ? "" : "context is not an object";
}

// Returns the input of the decision rule, or what is missing.
std::expected<Bytes, std::string> input_of(const Entities& entities) {
  if (std::string missing = missing_of(entities); !missing.empty())
    return std::unexpected(std::move(missing));
  Bytes input;
  for (size_t i = 0; i < kMembers.size(); ++i) {
    if (entities[i].text.empty()) continue;
    input += input.empty() ? '{' : ',';
    input += fmt::format("\"{}\":", kMembers[i]);
    entities[i].append_to(input);
  }
  return input + "}";
}

std::expected<Bytes, std::string> input_of(const JsonOutline& body, const Entities& defaults,
                                           ByteView evaluation) {
  const auto members = body.members(evaluation);
  if (!members) return std::unexpected("an evaluation is not an object");
  Entities entities = entities_of(body, *members);
  for (size_t i = 0; i < kMembers.size(); ++i)
    entities[i] = with_default(std::move(entities[i]), defaults[i]);
  return input_of(entities);
}

Bytes denial(unsigned status, std::string_view message) {
  return json::serialize(json::object{
      {"decision", false}, {"context", {{"error", {{"status", status}, {"message", message}}}}}});
}

Bytes decision_of(const std::optional<Bytes>& value) {
  if (!value || *value == "false") return R"({"decision":false})";
  if (*value == "true") return R"({"decision":true})";
  const auto members = json_members(*value);
  const ByteView decision = members ? member_of(*members, "decision") : ByteView();
  if (decision != "true" && decision != "false")
    return denial(
        kInternalError,
        "the decision rule gives neither a boolean nor an object with the boolean 'decision'");
  const ByteView context = member_of(*members, "context");
  if (!is_object(context)) return fmt::format("{{\"decision\":{}}}", decision);
  return fmt::format("{{\"decision\":{},\"context\":{}}}", decision, context);
}

bool permits(ByteView decision) { return decision.starts_with(R"({"decision":true)"); }

std::optional<AuthzenSemantic> semantic_of(const JsonOutline& body, const Members& top) {
  const ByteView options = member_of(top, "options");
  if (options.empty()) return AuthzenSemantic::kExecuteAll;
  const auto members = body.members(options);
  if (!members) return std::nullopt;
  const ByteView semantic = member_of(*members, "evaluations_semantic");
  if (semantic.empty() || semantic == R"("execute_all")") return AuthzenSemantic::kExecuteAll;
  if (semantic == R"("deny_on_first_deny")") return AuthzenSemantic::kDenyOnFirstDeny;
  if (semantic == R"("permit_on_first_permit")") return AuthzenSemantic::kPermitOnFirstPermit;
  return std::nullopt;
}

// Accepts "application/json" with parameters, as in "; charset=utf-8".
bool says_json(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (content_type.ends_with(' ')) content_type.remove_suffix(1);
  return boost::beast::iequals(content_type, "application/json");
}

}  // namespace

void AuthzenRequest::add(std::expected<Bytes, std::string> input) {
  if (!input) {
    members_.emplace_back(denial(kBadRequest, input.error()));
    return;
  }
  members_.emplace_back(inputs_.size());
  inputs_.emplace_back(*std::move(input));
}

std::expected<AuthzenRequest, http::Response> AuthzenRequest::parse(std::string_view content_type,
                                                                    ByteView body, bool several) {
  if (!says_json(content_type)) return refuse("the Content-Type must be application/json");
  const auto outline = is_json(body) ? JsonOutline::find(body) : std::nullopt;
  const auto top = outline ? outline->members(body) : std::nullopt;
  if (!top) return refuse("the body is not a JSON object");
  const ByteView list = several ? member_of(*top, "evaluations") : ByteView();
  const auto evaluations = list.empty() ? std::vector<ByteView>() : outline->elements(list);
  if (!evaluations) return refuse("evaluations is not an array");
  const Entities defaults = entities_of(*outline, *top);
  AuthzenRequest out;
  if (evaluations->empty()) {
    auto input = input_of(defaults);
    if (!input) return refuse(input.error());
    out.add(std::move(input));
    return out;
  }
  out.several_ = true;
  if (evaluations->size() > kEvaluationsMax)
    return refuse(fmt::format("more than {} evaluations", kEvaluationsMax));
  const auto semantic = semantic_of(*outline, *top);
  if (!semantic)
    return refuse(
        "options.evaluations_semantic is none of execute_all, deny_on_first_deny, "
        "permit_on_first_permit");
  out.semantic_ = *semantic;
  size_t bytes = 0;
  for (const ByteView evaluation : *evaluations) {
    auto input = input_of(*outline, defaults, evaluation);
    if (input) bytes += input->size();
    if (bytes > kEvaluationsInputBytesMax)
      return std::unexpected(http::error_response(
          kTooLarge, "request_too_large",
          fmt::format("the evaluations and their defaults have more than {} bytes",
                      kEvaluationsInputBytesMax)));
    out.add(std::move(input));
  }
  return out;
}

http::Response AuthzenRequest::respond(const pdp::Decisions& decisions) const {
  if (!several_) {
    if (!decisions) return evaluation_error_response(decisions.error());
    const Result<pdp::Decision>& one = decisions->front();
    return one ? json_text_response(decision_of(one->value), /*pretty=*/false)
               : evaluation_error_response(one.error());
  }
  // None of them is given, so that the caller asks again.
  if (!decisions && decisions.error().code == ErrorCode::kAuditUnavailable)
    return evaluation_error_response(decisions.error());
  Bytes out;
  for (const Member& member : members_) {
    Bytes decision;
    if (const auto* denied = std::get_if<Bytes>(&member)) {
      decision = *denied;
    } else if (!decisions) {
      decision = denial(kInternalError, decisions.error().message);
    } else {
      const Result<pdp::Decision>& one = (*decisions)[std::get<size_t>(member)];
      decision = one ? decision_of(one->value) : denial(kInternalError, one.error().message);
    }
    const bool permitted = permits(decision);
    out += out.empty() ? "" : ",";
    out += decision;
    if (semantic_ == AuthzenSemantic::kDenyOnFirstDeny && !permitted) break;
    if (semantic_ == AuthzenSemantic::kPermitOnFirstPermit && permitted) break;
  }
  return json_text_response(fmt::format("{{\"evaluations\":[{}]}}", out), /*pretty=*/false);
}

json::value authzen_configuration(std::string_view base_url) {
  return {{"policy_decision_point", base_url},
          {"access_evaluation_endpoint", fmt::format("{}/access/v1/evaluation", base_url)},
          {"access_evaluations_endpoint", fmt::format("{}/access/v1/evaluations", base_url)}};
}

}  // namespace notp::api
