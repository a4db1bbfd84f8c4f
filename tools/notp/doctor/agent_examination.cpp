#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/http/client.hpp"
#include "common/json/json_schema.hpp"
#include "protocol/transport/tls_config.hpp"
#include "tools/notp/doctor/daemon_check.hpp"
#include "tools/notp/doctor/examinations.hpp"
#include "tools/notp/doctor/reach.hpp"

namespace notp::cli::doctor {
namespace {

constexpr unsigned kHttpOk = 200;
constexpr unsigned kUnauthorized = 401, kForbidden = 403;
// A node's trusted time is at most this far from its clock while the clock is right.
constexpr TimeMs kClockMs = 5'000;
// Models are checked with this major version of OPA.
constexpr int kOpaMajor = 1;
// What is read here of an agent's status. Another program may listen at its address.
constexpr std::string_view kStatus = R"({
  "type": "object", "required": ["connected", "last_error", "now_ms", "ledgers"],
  "properties": {
    "connected": {"type": "boolean"},
    "last_error": {"type": "string"},
    "now_ms": {"type": "integer", "minimum": 0, "maximum": 9007199254740991},
    "alarms": {"type": "array", "items": {"type": "string"}},
    "decisions_refused": {"type": "string"},
    "log_refused": {"type": "string"},
    "ledgers": {"type": "array", "items": {
      "type": "object", "required": ["ledger", "error", "state", "denies", "vouched_ms"],
      "properties": {
        "ledger": {"type": "string"},
        "error": {"type": "string"},
        "state": {"type": "string"},
        "denies": {"type": "boolean"},
        "vouched_ms": {"type": "integer", "minimum": 0, "maximum": 9007199254740991}
      }
    }}
  }
})";

Result<void> check_way(const config::Section& settings, const Environment& environment,
                       Diagnosis& diagnosis) {
  const std::string address = settings.text("registry"), domain = settings.text("trust_domain");
  NOTP_ASSIGN(const transport::TlsFiles files, transport::load_tls(settings, domain));
  NOTP_ASSIGN(const session::IdentityPattern expected,
              session::IdentityPattern::parse(settings.text("registry_identity"), domain));
  NOTP_ASSIGN(const HostPort target, HostPort::parse(address));
  NOTP_ASSIGN(const http::ProxyConfig proxy, http::load_proxy(settings));
  NOTP_ASSIGN(const http::ProxyRoute route, http::choose_proxy(proxy, environment, target));
  const auto peer = shake_hands(address, files, route);
  if (!peer) {
    add_connection_error(peer.error(), address, diagnosis);
  } else if (!expected.covers(*peer)) {
    diagnosis.add("registry_identity", address,
                  fmt::format("it answers as {}, and registry_identity expects {}",
                              peer->short_text(), expected.text()),
                  "look at the address, or at registry_identity");
  } else {
    diagnosis.saw("registry",
                  fmt::format("{} is {}, reached {}", address, peer->short_text(), route.text()));
  }
  return {};
}

void check_ledger(const config::Section& row, Diagnosis& diagnosis) {
  const std::string ledger = row.text("ledger"), error = row.text("error");
  if (error.contains("overlap"))
    diagnosis.add("roots_overlap", ledger, error,
                  "take one of the two from this node's ledgers, or publish it with other roots");
  else if (!error.empty())
    diagnosis.add("ledger_rejected", ledger, error);
  const std::string state = row.text("state");
  if (state == "stale" || state == "expired")
    diagnosis.add("ledger_aged", ledger,
                  fmt::format("the release is {}{}", state,
                              row.flag("denies") ? ", and everything is denied" : ""));
}

void check_times(const config::Section& status, Diagnosis& diagnosis) {
  const TimeMs own_ms = read_clock().wall_ms, ahead_ms = status.integer("now_ms") - own_ms;
  if (ahead_ms > kClockMs)
    diagnosis.add("clock_jumped", "clock",
                  fmt::format("the agent counts from {}, {} s ahead of this clock",
                              utc_time(status.integer("now_ms")), ahead_ms / 1000),
                  "set this clock if it is behind; else stop the agent and forget that time");
  TimeMs vouched_ms = 0;
  for (const config::Section& row : status.sections("ledgers"))
    vouched_ms = std::max(vouched_ms, row.integer("vouched_ms"));
  if (vouched_ms - own_ms > kClockMs)
    diagnosis.add("clock_differs", "clock",
                  fmt::format("the registry spoke at {} of its clock, {} s ahead of this one",
                              utc_time(vouched_ms), (vouched_ms - own_ms) / 1000),
                  "set both clocks by NTP");
}

// The agent itself knows best what it decides with.
void check_running(const std::string& url, Diagnosis& diagnosis) {
  if (url.empty()) return diagnosis.cannot_check("the running agent: it listens on no fixed port");
  const auto answer = http::call_blocking({.url = url + "/v1/status"});
  if (!answer)
    return diagnosis.add("agent_not_running", url, answer.error().message, "start the agent");
  if (answer->status == kUnauthorized || answer->status == kForbidden)
    return diagnosis.cannot_check("the running agent: its status needs a token");
  const auto document = parse_json(answer->body);
  if (answer->status != kHttpOk || !document || !validate_json_schema(kStatus, answer->body))
    return diagnosis.add(
        "agent_not_running", url,
        fmt::format("something else answers there, with status {}", answer->status),
        "look which program listens there");
  const config::Section status(*document);
  if (!status.flag("connected"))
    diagnosis.add("agent_disconnected", url,
                  fmt::format("the agent has no session: {}", status.text("last_error")));
  for (const config::Section& row : status.sections("ledgers")) check_ledger(row, diagnosis);
  for (const std::string& alarm : status.texts("alarms")) diagnosis.add("alarm", url, alarm);
  if (const std::string why = status.text_or_empty("decisions_refused"); !why.empty())
    diagnosis.add("decisions_refused", url, why);
  if (const std::string why = status.text_or_empty("log_refused"); !why.empty())
    diagnosis.add("log_refused", url, why);
  check_times(status, diagnosis);
  diagnosis.saw("agent", fmt::format("answers at {}", url));
}

// OPA's own configuration, as it serves it without secrets; null: not to be had.
json::value opa_configuration(const std::string& url, Diagnosis& diagnosis) {
  const auto answer = http::call_blocking({.url = url + "/v1/config"});
  if (!answer || answer->status != kHttpOk) {
    diagnosis.cannot_check(
        fmt::format("OPA's version and feed: GET {}/v1/config gives no answer "
                    "without a token",
                    url));
    return {};
  }
  auto document = parse_json(answer->body);
  return document ? *std::move(document) : json::value();
}

void check_opa(const std::string& url, Diagnosis& diagnosis) {
  const auto health = http::call_blocking({.url = url + "/health"});
  if (!health || health->status != kHttpOk)
    return diagnosis.add("opa_unreachable", url,
                         health ? fmt::format("status {}", health->status) : health.error().message,
                         "start OPA with what 'notp-client opa-config' prints");
  const json::value document = opa_configuration(url, diagnosis);
  const json::value* const version = config_find(document, "result.labels.version");
  if (version != nullptr && version->is_string()) {
    const std::string text(version->get_string());
    int major = 0;
    std::from_chars(text.data(), text.data() + text.size(), major);
    if (major < kOpaMajor) diagnosis.add("opa_version", url, fmt::format("it is OPA {}", text));
    diagnosis.saw("OPA", fmt::format("{} at {}", text, url));
  }
  if (!document.is_object()) return;
  const json::value* const bundles = config_find(document, "result.bundles");
  const bool is_fed = bundles != nullptr && json::serialize(*bundles).contains("bundles/notp");
  if (!is_fed)
    diagnosis.add("opa_feed", url, "none of its bundles comes from a NOTP agent",
                  "start OPA with that configuration");
}

}  // namespace

Result<void> examine_agent(const Context& context, Diagnosis& diagnosis) {
  NOTP_ASSIGN(const auto document, check_by_daemon(context, diagnosis));
  if (!document) return {};
  const config::Section facts(*document);
  const auto way = check_way(facts.section("settings"), context.environment, diagnosis);
  // The daemon's own check has the same as a finding.
  if (!way) diagnosis.cannot_check(fmt::format("the registry: {}", way.error().message));
  check_running(facts.text("status_url"), diagnosis);
  if (const std::string opa = facts.text("opa_url"); !opa.empty()) check_opa(opa, diagnosis);
  return {};
}

}  // namespace notp::cli::doctor
