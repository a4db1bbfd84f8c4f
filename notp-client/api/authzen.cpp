#include "notp-client/api/authzen.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/beast/core/string.hpp>

#include "common/json_members.hpp"
#include "notp-client/api/data_api.hpp"

namespace notp {
namespace {

using Members = std::vector<JsonMember>;

constexpr std::array<std::string_view, 4> kMembers = {"subject", "action", "resource", "context"};
constexpr unsigned kBadRequest = 400, kTooLarge = 413, kInternalError = 500;

// The last value of that name, which is the one that OPA takes; empty without one.
ByteView member_of(const Members& members, std::string_view name) {
  return json_member(members, name).value_or(ByteView());
}

std::unexpected<http::Response> refuse(std::string_view message) {
  return std::unexpected(http::error_response(kBadRequest, "invalid_request", message));
}

bool is_string(ByteView value) { return value.starts_with('"'); }
bool is_object(ByteView value) { return value.starts_with('{'); }

// An entity as it is asked about: that of the member, or else the default at the top. Of the
// default a member that is given in part has the required names that it misses.
Bytes entity_of(const Members& top, const Members& member, std::string_view name) {
  const ByteView fallback = member_of(top, name), own = member_of(member, name);
  if (own.empty()) return Bytes(fallback);
  if (!is_object(own) || !is_object(fallback)) return Bytes(own);
  const Members parts = json_members(own).value_or(Members()),
                defaults = json_members(fallback).value_or(Members());
  Bytes added;
  for (std::string_view required : {"type", "id", "name"})
    if (const ByteView value = member_of(defaults, required);
        !value.empty() && member_of(parts, required).empty())
      added += fmt::format("\"{}\":{},", required, value);
  if (added.empty()) return Bytes(own);
  if (parts.empty()) added.pop_back();
  return fmt::format("{{{}{}", added, own.substr(1));
}

struct AskedEntities {
  std::array<Bytes, kMembers.size()> entities;  // as kMembers; empty: absent

  // §5: what is missing; empty when nothing is.
  std::string missing() const;
  Bytes input() const;
};

std::string AskedEntities::missing() const {
  struct Required {
    size_t entity;
    std::string_view name;
  };
  constexpr std::array<Required, 5> kRequired = {
      {{0, "type"}, {0, "id"}, {1, "name"}, {2, "type"}, {2, "id"}}};
  for (const auto& [entity, name] : kRequired) {
    const auto members = json_members(entities[entity]);
    if (!members || !is_string(member_of(*members, name)))
      return fmt::format("{}.{} is missing or not a string", kMembers[entity], name);
  }
  const Bytes& context = entities.back();
  return context.empty() || is_object(context) ? "" : "context is not an object";
}

Bytes AskedEntities::input() const {
  Bytes input;
  for (size_t i = 0; i < kMembers.size(); ++i) {
    if (entities[i].empty()) continue;
    input += input.empty() ? '{' : ',';
    input += fmt::format("\"{}\":", kMembers[i]);
    input += entities[i];
  }
  return input + "}";
}

AskedEntities question_of(const Members& top, const Members& member) {
  AskedEntities question;
  for (size_t i = 0; i < kMembers.size(); ++i)
    question.entities[i] = entity_of(top, member, kMembers[i]);
  return question;
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

std::optional<AuthzenSemantic> semantic_of(const Members& top) {
  const ByteView options = member_of(top, "options");
  if (options.empty()) return AuthzenSemantic::kExecuteAll;
  const auto members = json_members(options);
  if (!members) return std::nullopt;
  const ByteView semantic = member_of(*members, "evaluations_semantic");
  if (semantic.empty() || semantic == R"("execute_all")") return AuthzenSemantic::kExecuteAll;
  if (semantic == R"("deny_on_first_deny")") return AuthzenSemantic::kDenyOnFirstDeny;
  if (semantic == R"("permit_on_first_permit")") return AuthzenSemantic::kPermitOnFirstPermit;
  return std::nullopt;
}

// "application/json" and what follows it, as in "; charset=utf-8".
bool says_json(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (content_type.ends_with(' ')) content_type.remove_suffix(1);
  return boost::beast::iequals(content_type, "application/json");
}

}  // namespace

void AuthzenRequest::add(const Members& top, ByteView member) {
  const auto members = json_members(member);
  if (!members) {
    members_.emplace_back(denial(kBadRequest, "an evaluation is not an object"));
    return;
  }
  const AskedEntities question = question_of(top, *members);
  if (const std::string what = question.missing(); !what.empty()) {
    members_.emplace_back(denial(kBadRequest, what));
    return;
  }
  members_.emplace_back(inputs_.size());
  inputs_.emplace_back(question.input());
}

std::expected<AuthzenRequest, http::Response> AuthzenRequest::parse(std::string_view content_type,
                                                                    ByteView body, bool several) {
  if (!says_json(content_type)) return refuse("the Content-Type must be application/json");
  const auto top = is_json(body) ? json_members(body) : std::nullopt;
  if (!top) return refuse("the body is not a JSON object");
  const ByteView list = several ? member_of(*top, "evaluations") : ByteView();
  const auto evaluations = list.empty() ? std::vector<ByteView>() : json_elements(list);
  if (!evaluations) return refuse("evaluations is not an array");
  AuthzenRequest out;
  if (evaluations->empty()) {
    const AskedEntities question = question_of(*top, {});
    if (const std::string what = question.missing(); !what.empty()) return refuse(what);
    out.inputs_.emplace_back(question.input());
    out.members_.emplace_back(size_t{0});
    return out;
  }
  out.several_ = true;
  if (evaluations->size() > kEvaluationsMax)
    return refuse(fmt::format("more than {} evaluations", kEvaluationsMax));
  const auto semantic = semantic_of(*top);
  if (!semantic)
    return refuse(
        "options.evaluations_semantic is none of execute_all, deny_on_first_deny, "
        "permit_on_first_permit");
  out.semantic_ = *semantic;
  size_t bytes = 0;
  for (const ByteView member : *evaluations) {
    const size_t before = out.inputs_.size();
    out.add(*top, member);
    if (out.inputs_.size() > before) bytes += out.inputs_.back()->size();
    if (bytes > kEvaluationsInputBytesMax)
      return std::unexpected(http::error_response(
          kTooLarge, "request_too_large",
          fmt::format("the evaluations and their defaults have more than {} bytes",
                      kEvaluationsInputBytesMax)));
  }
  return out;
}

http::Response AuthzenRequest::respond(
    const Result<std::vector<Result<Decision>>>& decisions) const {
  if (!several_) {
    if (!decisions) return evaluation_error_response(decisions.error());
    const Result<Decision>& one = decisions->front();
    return one ? json_text_response(decision_of(one->value), /*pretty=*/false)
               : evaluation_error_response(one.error());
  }
  Bytes out;
  for (const Member& member : members_) {
    Bytes decision;
    if (const auto* denied = std::get_if<Bytes>(&member)) {
      decision = *denied;
    } else if (!decisions) {
      decision = denial(kInternalError, decisions.error().message);
    } else {
      const Result<Decision>& one = (*decisions)[std::get<size_t>(member)];
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

}  // namespace notp
