#include "notp-server/lane_inputs/security_event.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {
namespace {

constexpr TimeMs kSecond = 1'000;

// "token.aud" of jose becomes "set.aud".
Error renamed(Error error) {
  constexpr std::string_view kCheck = "check", kFront = "token.";
  for (const auto& [name, value] : error.context)
    if (name == kCheck && value.starts_with(kFront))
      return refuse(fmt::format("set.{}", value.substr(kFront.size())), error.message).error();
  return refuse("set.malformed", error.message).error();
}

bool has_audience(const jose::Token& token, const std::string& audience) {
  const json::value* const given = token.claims.if_contains("aud");
  if (given == nullptr) return false;
  if (given->is_string()) return given->get_string() == audience;
  return given->is_array() && std::ranges::any_of(given->get_array(), [&](const json::value& one) {
           return one.is_string() && one.get_string() == audience;
         });
}

// The one of ours that the token has, for an error the first.
std::string audience_for(const jose::Token& token, const std::vector<std::string>& ours) {
  const auto found =
      std::ranges::find_if(ours, [&](const std::string& one) { return has_audience(token, one); });
  if (found != ours.end()) return *found;
  return ours.empty() ? std::string() : ours.front();
}

Result<void> verify(const jose::Token& token, const jose::KeySet& keys, const SetRules& rules,
                    TimeMs now_ms) {
  const auto all = jose::all_algorithms();
  const jose::TokenRules wanted{.algorithms = {all.begin(), all.end()},
                                .typ = "secevent+jwt",
                                .issuer = rules.issuer,
                                .audience = audience_for(token, rules.audiences),
                                .now_ms = now_ms,
                                .age_ms_max = kSetAgeMsMax,
                                .needs_expiry = false};
  if (wanted.issuer.empty() || wanted.audience.empty())
    return refuse("set.aud", "this source has no issuer or no audience yet");
  if (auto checked = jose::check_token(token, keys, wanted); !checked)
    return std::unexpected(renamed(std::move(checked).error()));
  return {};
}

struct Payload {
  std::string type;
  const json::object* members = nullptr;
};

Result<Payload> one_event(const json::object& claims) {
  const json::value* const events = claims.if_contains("events");
  if (events == nullptr || !events->is_object())
    return refuse("set.events", "the token has no object \"events\" (RFC 8417 §2.2)");
  if (events->get_object().size() != 1)
    return refuse("set.events", fmt::format("the token has {} events; each has one of its own",
                                            events->get_object().size()));
  const auto& event = *events->get_object().begin();
  if (event.key().size() > kEventTypeBytesMax || !event.value().is_object())
    return refuse("set.events", "the event's type is too long, or its payload is not an object");
  return Payload{std::string(event.key()), &event.value().get_object()};
}

Result<const json::value*> subject_in(const json::object& claims, const json::object& payload) {
  const json::value* const outer = claims.if_contains("sub_id");
  // Before SSF 1.0 the subject was in the event.
  const json::value* const inner = payload.if_contains("subject");
  if (outer != nullptr && inner != nullptr)
    return refuse("set.subject", "the token has two subjects: sub_id, and one within its event");
  if (outer == nullptr && inner == nullptr)
    return refuse("set.subject", "the token has no sub_id (RFC 9493 §4.1)");
  return outer != nullptr ? outer : inner;
}

Result<TimeMs> event_time(const json::object& payload, TimeMs issued_ms, TimeMs now_ms) {
  const json::value* const given = payload.if_contains("event_timestamp");
  if (given == nullptr) return issued_ms;
  auto time = jose::numeric_date_ms(*given);
  if (!time)
    return refuse("event.timestamp",
                  fmt::format("event_timestamp: {} (it counts seconds)", time.error().message));
  if (*time > now_ms + jose::kLeewayMs)
    return refuse("event.future", fmt::format("the event is of the future, {}", utc_time(*time)));
  return *time;
}

// "" when there is none.
std::string_view text_in(const json::object& claims, std::string_view name) {
  const json::value* const value = claims.if_contains(name);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                : std::string_view();
}

std::string text_in(const json::object& payload, std::string_view name, size_t bytes_max) {
  const json::value* const value = payload.if_contains(name);
  if (value == nullptr || !value->is_string()) return {};
  return printable(value->get_string(), bytes_max);
}

bool is_harmless(const EventType& type, const json::object& payload, const SetRules& rules) {
  // What a person has configured holds for every change.
  if (type.harmless_change.empty() || rules.effects.contains(event_name(type.uri))) return false;
  const json::value* const change = payload.if_contains("change_type");
  return change != nullptr && change->is_string() && change->get_string() == type.harmless_change;
}

EventEffect effect_of(const EventType& type, const SetRules& rules) {
  if (type.effect == EventEffect::kVerification || type.effect == EventEffect::kStreamUpdated)
    return type.effect;
  const auto found = rules.effects.find(event_name(type.uri));
  return found == rules.effects.end() ? type.effect : found->second;
}

Result<lane::Revoked> revocation(const EventType& type, const json::object& claims,
                                 const json::object& payload, const SetRules& rules,
                                 TimeMs issued_ms, TimeMs now_ms) {
  NOTP_ASSIGN(const json::value* subject, subject_in(claims, payload));
  NOTP_ASSIGN(MarkTarget target, target_of(*subject, rules.subjects, type.bare));
  NOTP_ASSIGN(const TimeMs time_ms, event_time(payload, issued_ms, now_ms));
  const bool is_for_ever = target.kind == feed::MarkKind::kTokenNumber ||
                           (target.kind == feed::MarkKind::kSession && type.ends_session);
  return lane::Revoked{.kind = target.kind,
                       .issuer = std::move(target.issuer),
                       .value = std::move(target.value),
                       .not_before_s = is_for_ever ? feed::kAnyIssueTime : time_ms / kSecond};
}

}  // namespace

std::vector<std::string> wanted_events(const SetRules& rules) {
  std::vector<std::string> out;
  for (const EventType& type : event_types())
    if (effect_of(type, rules) == EventEffect::kRevoke) out.emplace_back(type.uri);
  return out;
}

Result<jose::Token> read_set(std::string_view compact) {
  auto token = jose::read_token(compact, kSetBytesMax);
  if (token) return token;
  const bool is_limit = token.error().code == ErrorCode::kLimit;
  return refuse(is_limit ? "set.too-large" : "set.malformed", token.error().message);
}

std::string_view claim_text(const jose::Token& token, std::string_view name) {
  return text_in(token.claims, name);
}

bool has_audience(const jose::Token& token, std::span<const std::string> audiences) {
  return std::ranges::any_of(audiences,
                             [&](const std::string& one) { return has_audience(token, one); });
}

Result<SecurityEvent> accept_set(const jose::Token& token, const jose::KeySet& keys,
                                 const SetRules& rules, TimeMs now_ms) {
  NOTP_TRY(verify(token, keys, rules, now_ms));
  return read_event(token.claims, rules, now_ms);
}

Result<SecurityEvent> read_event(const json::object& claims, const SetRules& rules, TimeMs now_ms) {
  SecurityEvent out;
  out.jti = text_in(claims, "jti");
  if (out.jti.empty() || out.jti.size() > kJtiBytesMax)
    return refuse("set.jti", fmt::format("the token has no jti of 1 to {} bytes", kJtiBytesMax));
  const json::value* const issued = claims.if_contains("iat");
  if (issued == nullptr) return refuse("set.iat", "the token has no iat");
  auto issued_ms = jose::numeric_date_ms(*issued);
  if (!issued_ms) return refuse("set.iat", issued_ms.error().message);
  out.issued_ms = *issued_ms;
  NOTP_ASSIGN(const Payload event, one_event(claims));
  out.type = event.type;
  // RFC 8417 §2: a type that is not understood is not an error.
  const EventType* const type = find_event_type(event.type);
  if (type == nullptr) return out;
  out.effect = effect_of(*type, rules);
  if (out.effect == EventEffect::kVerification)
    out.state = text_in(*event.members, "state", kStateBytesMax);
  if (out.effect == EventEffect::kStreamUpdated) {
    out.status = text_in(*event.members, "status", kStateBytesMax);
    out.reason = text_in(*event.members, "reason", kEventTypeBytesMax);
  }
  if (out.effect != EventEffect::kRevoke || is_harmless(*type, *event.members, rules)) return out;
  NOTP_ASSIGN(out.revoked, revocation(*type, claims, *event.members, rules, out.issued_ms, now_ms));
  return out;
}

std::string_view set_error_code(const Error& refusal) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kCodes = {{
      {"set.alg", "invalid_key"},
      {"set.key", "invalid_key"},
      {"set.iss", "invalid_issuer"},
      {"set.aud", "invalid_audience"},
      {"set.signature", "authentication_failed"},
      {"set.sender", "access_denied"},
      {"subject.other-issuer", "access_denied"},
  }};
  const auto found = std::ranges::find(kCodes, rule_of(refusal),
                                       &std::pair<std::string_view, std::string_view>::first);
  return found == kCodes.end() ? "invalid_request" : found->second;
}

}  // namespace notp::lane_inputs
