#include "notp-server/lane_inputs/ssf_documents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <set>

#include "common/http/guard.hpp"
#include "common/http/url.hpp"
#include "common/jose/json_depth.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"

namespace notp::lane_inputs {
namespace {

constexpr std::string_view kWellKnown = "/.well-known/ssf-configuration";
constexpr std::string_view kPush = "urn:ietf:rfc:8935", kPoll = "urn:ietf:rfc:8936";

std::unexpected<Error> refused(std::string why) {
  return fail(ErrorCode::kMessage, fmt::format("the transmitter's answer: {}", why));
}

Result<json::value> read(ByteView body) {
  auto value = jose::parse_shallow_json(body);
  if (!value) return refused(value.error().message);
  return value;
}

Result<json::object> read_object(ByteView body) {
  NOTP_ASSIGN(json::value value, read(body));
  if (!value.is_object()) return refused("not a JSON object");
  return std::move(value.get_object());
}

// Empty when there is none.
std::string text_in(const json::object& members, std::string_view name, size_t bytes_max) {
  const json::value* const value = members.if_contains(name);
  if (value == nullptr || !value->is_string() || value->get_string().size() > bytes_max) return {};
  return std::string(value->get_string());
}

std::vector<std::string> texts_in(const json::object& members, std::string_view name) {
  std::vector<std::string> out;
  const json::value* const value = members.if_contains(name);
  if (value != nullptr && value->is_string()) out.emplace_back(value->get_string());
  if (value == nullptr || !value->is_array()) return out;
  for (const json::value& one : value->get_array())
    if (one.is_string() && one.get_string().size() <= kSubjectBytesMax && out.size() < kStreamsMax)
      out.emplace_back(one.get_string());
  return out;
}

// RFC 3986 §3.2.2: names are compared without case.
Result<void> check_endpoint(const std::string& name, const std::string& text,
                            const TransmitterRules& rules) {
  const auto url = http::Url::parse(text);
  if (!url) return refused(fmt::format("{} is not a URL: {}", name, printable(text)));
  if (!url->is_tls && !(rules.insecure_loopback && http::names_loopback(url->at.host)))
    return refused(fmt::format("{} is not https: {}", name, printable(text)));
  const auto is_host = [&](const std::string& host) {
    return boost::beast::iequals(host, url->at.host);
  };
  const auto own = http::Url::parse(rules.issuer);
  if ((own && is_host(own->at.host)) || std::ranges::any_of(rules.hosts, is_host)) return {};
  return refused(fmt::format("{} is at {}, neither the issuer's host nor one of 'hosts'", name,
                             printable(url->at.host)));
}

Result<std::string> endpoint_in(const json::object& members, const std::string& name,
                                const TransmitterRules& rules) {
  std::string text = text_in(members, name, kUrlBytesMax);
  if (!text.empty()) NOTP_TRY(check_endpoint(name, text, rules));
  return text;
}

Result<SsfStream> stream_of(const json::object& members, const TransmitterRules& rules) {
  SsfStream out;
  out.id = text_in(members, "stream_id", kStreamIdBytesMax);
  if (out.id.empty()) return refused("there is no stream_id");
  const std::string issuer = text_in(members, "iss", kSubjectBytesMax);
  if (!issuer.empty() && issuer != rules.issuer)
    return refused(fmt::format("the stream is of the issuer {}", printable(issuer)));
  out.audiences = texts_in(members, "aud");
  out.events_requested = texts_in(members, "events_requested");
  out.events_delivered = texts_in(members, "events_delivered");
  out.default_subjects = text_in(members, "default_subjects", kSubjectBytesMax);
  const json::value* const delivery = members.if_contains("delivery");
  if (delivery == nullptr || !delivery->is_object())
    return refused("the stream has no object \"delivery\"");
  const std::string method = text_in(delivery->get_object(), "method", kSubjectBytesMax);
  if (method != kPush && method != kPoll)
    return refused(fmt::format("the stream delivers by {}", printable(method)));
  out.is_push = method == kPush;
  out.endpoint = text_in(delivery->get_object(), "endpoint_url", kUrlBytesMax);
  if (!out.is_push) NOTP_TRY(check_endpoint("delivery.endpoint_url", out.endpoint, rules));
  return out;
}

json::array array_of(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

json::object delivery_of(const TransmitterRules& rules, const std::string& authorization) {
  json::object out{{"method", rules.is_push ? kPush : kPoll}};
  if (rules.is_push) out["endpoint_url"] = rules.push_url;
  if (!authorization.empty()) out["authorization_header"] = authorization;
  return out;
}

}  // namespace

std::vector<std::string> transmitter_urls(std::string_view issuer) {
  if (issuer.ends_with('/')) issuer.remove_suffix(1);
  const size_t path = std::min(issuer.find('/', issuer.find("://") + 3), issuer.size());
  std::vector<std::string> out = {
      fmt::format("{}{}{}", issuer.substr(0, path), kWellKnown, issuer.substr(path))};
  if (path != issuer.size()) out.push_back(fmt::format("{}{}", issuer, kWellKnown));
  return out;
}

Result<Transmitter> read_transmitter(ByteView body, const TransmitterRules& rules) {
  NOTP_ASSIGN(const json::object members, read_object(body));
  const std::string issuer = text_in(members, "issuer", kSubjectBytesMax);
  if (issuer != rules.issuer)
    return refused(fmt::format("it is of the issuer {}, not of {}", printable(issuer),
                               printable(rules.issuer)));
  Transmitter out;
  NOTP_ASSIGN(out.configuration_endpoint, endpoint_in(members, "configuration_endpoint", rules));
  if (out.configuration_endpoint.empty()) return refused("there is no configuration_endpoint");
  NOTP_ASSIGN(out.status_endpoint, endpoint_in(members, "status_endpoint", rules));
  NOTP_ASSIGN(out.verification_endpoint, endpoint_in(members, "verification_endpoint", rules));
  const auto methods = texts_in(members, "delivery_methods_supported");
  const std::string_view wanted = rules.is_push ? kPush : kPoll;
  if (!methods.empty() && std::ranges::find(methods, wanted) == methods.end())
    return refused(
        fmt::format("it cannot deliver by {}; change 'delivery'", rules.is_push ? "push" : "poll"));
  out.adds_subjects = text_in(members, "default_subjects", kSubjectBytesMax) == "NONE";
  return out;
}

Result<SsfStream> read_stream(ByteView body, const TransmitterRules& rules) {
  NOTP_ASSIGN(const json::object members, read_object(body));
  return stream_of(members, rules);
}

Result<std::vector<SsfStream>> read_streams(ByteView body, const TransmitterRules& rules) {
  NOTP_ASSIGN(const json::value value, read(body));
  std::vector<SsfStream> out;
  const auto add = [&](const json::value& one) {
    if (!one.is_object() || out.size() == kStreamsMax) return;
    if (auto stream = stream_of(one.get_object(), rules)) out.push_back(*std::move(stream));
  };
  if (value.is_object()) {
    add(value);
    return out;
  }
  if (!value.is_array()) return refused("neither a stream nor an array of them");
  for (const json::value& one : value.get_array()) add(one);
  return out;
}

Result<StreamStatus> read_status(ByteView body) {
  NOTP_ASSIGN(const json::object members, read_object(body));
  StreamStatus out{.status = text_in(members, "status", kStateBytesMax),
                   .reason = printable(text_in(members, "reason", kEventTypeBytesMax))};
  if (out.status.empty()) return refused("there is no status");
  return out;
}

const SsfStream* fitting_stream(std::span<const SsfStream> streams, const TransmitterRules& rules) {
  const auto found = std::ranges::find_if(streams, [&rules](const SsfStream& stream) {
    return stream.is_push == rules.is_push && (!rules.is_push || stream.endpoint == rules.push_url);
  });
  return found == streams.end() ? nullptr : &*found;
}

std::string create_request(const TransmitterRules& rules, const std::string& description,
                           const std::string& authorization) {
  return json::serialize(json::object{{"delivery", delivery_of(rules, authorization)},
                                      {"events_requested", array_of(rules.events)},
                                      {"description", description}});
}

std::string update_request(const SsfStream& stream, const TransmitterRules& rules,
                           const std::string& authorization) {
  json::object out{{"stream_id", stream.id}, {"events_requested", array_of(rules.events)}};
  if (rules.is_push) out["delivery"] = delivery_of(rules, authorization);
  return json::serialize(out);
}

std::string verification_request(const SsfStream& stream, const std::string& state) {
  return json::serialize(json::object{{"stream_id", stream.id}, {"state", state}});
}

std::string enable_request(const SsfStream& stream) {
  return json::serialize(json::object{{"stream_id", stream.id}, {"status", "enabled"}});
}

bool wants_other_events(const SsfStream& stream, const TransmitterRules& rules) {
  return std::set(stream.events_requested.begin(), stream.events_requested.end()) !=
         std::set(rules.events.begin(), rules.events.end());
}

}  // namespace notp::lane_inputs
