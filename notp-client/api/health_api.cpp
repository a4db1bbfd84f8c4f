#include "notp-client/api/health_api.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "notp-client/api/data_api.hpp"

namespace notp::api {
namespace {

constexpr unsigned kUnavailable = 503;
constexpr std::string_view kPlugin = "bundle";  // the only plugin of this agent

std::string_view readiness_name(Readiness readiness) {
  switch (readiness) {
    case Readiness::kCurrent:
      return "current";
    case Readiness::kStale:
      return "stale";
    case Readiness::kExpired:
      return "expired";
    case Readiness::kNever:
      return "never_loaded";
    case Readiness::kAuditUnavailable:
      return "audit_unavailable";
  }
  return "never_loaded";
}

http::Response health_answer(std::string_view error) {
  if (error.empty()) return json_text_response("{}", /*pretty=*/false);
  http::Response response =
      json_text_response(json::serialize(json::object{{"error", error}}), /*pretty=*/false);
  response.status = kUnavailable;
  return response;
}

bool plugin_ready(const Health& health) { return health.inactive.empty() && health.decides(); }

}  // namespace

http::Response ready_response(const Health& health, bool with_detail) {
  const std::string_view state = readiness_name(health.readiness);
  json::object body{{"state", state}};
  if (with_detail)
    for (const auto& [name, value] : health.detail) body[name] = value;
  http::Response response = json_text_response(json::serialize(body), /*pretty=*/false);
  response.status = health.decides() ? 200 : kUnavailable;
  response.headers.emplace_back("NOTP-State", state);
  return response;
}

http::Response health_response(const http::Request& request, const Health& health) {
  if (!health.can_evaluate) return health_answer("unable to perform evaluation");
  if ((flag_parameter(request, "bundles") || flag_parameter(request, "bundle")) &&
      !health.inactive.empty())
    return health_answer(
        fmt::format("one or more bundles are not activated: {}", fmt::join(health.inactive, ", ")));
  const auto excluded = request.parameters("exclude-plugin");
  if (flag_parameter(request, "plugins") && !plugin_ready(health) &&
      std::ranges::find(excluded, kPlugin) == excluded.end())
    return health_answer("one or more plugins are not up");
  return health_answer({});
}

Bytes health_rule_input(const Health& health) {
  const bool ready = plugin_ready(health);
  return json::serialize(json::object{{"plugin_state", {{kPlugin, ready ? "OK" : "NOT_READY"}}},
                                      {"plugins_ready", ready}});
}

http::Response health_rule_response(const std::vector<std::string>& path,
                                    const Result<pdp::Decision>& decision) {
  if (!decision) return health_answer(decision.error().message);
  if (decision->value == "true") return health_answer({});
  return health_answer(
      fmt::format("health check ({}) {}", pdp::reference_text(path),
                  decision->value ? "returned unexpected value" : "was undefined"));
}

}  // namespace notp::api
