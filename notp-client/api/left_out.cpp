#include "notp-client/api/left_out.hpp"

#include <array>

#include "common/json/json.hpp"
#include "notp-client/api/data_api.hpp"

namespace notp::api {
namespace {

constexpr unsigned kNotImplemented = 501;
constexpr std::string_view kSigned =
    "policies and data come from signed releases alone, so that every node decides alike and "
    "no decision changes without its publishers";
constexpr std::string_view kPublish = "publish a release: notp publish DIR --ledger ZONE/NAME";

constexpr std::array kRoutes = {
    LeftOut{"PUT PATCH DELETE", "/v1/data/*", kSigned, kPublish},
    LeftOut{"PUT DELETE", "/v1/policies/*", kSigned, kPublish},
    LeftOut{"GET POST", "/v1/query/*",
            "a query from outside is an unsigned policy, and may read all data",
            "write the query as a rule of a release, and ask it: POST /v1/data/<path>"},
    LeftOut{"GET POST", "/v1/compile/*", "partial evaluation is not offered",
            "ask a rule for a decision: POST /v1/data/<path>"},
    LeftOut{"GET", "/v1/config", "the configuration is a file of this machine's operator",
            "see what the agent does with it: GET /v1/status"},
};

}  // namespace

const LeftOut kDecisionLogs{"POST", "/logs", "decision logs are not taken here",
                            "let OPA write them to its console: decision_logs.console"};

std::span<const LeftOut> left_out_routes() { return kRoutes; }

http::Response left_out_response(const LeftOut& route) {
  http::Response response = json_text_response(
      json::serialize(json::object{
          {"code", "not_implemented"},
          {"message", route.reason},
          {"errors",
           json::array{json::object{{"code", "api_usage"}, {"message", route.instead}}}}}),
      /*pretty=*/true);
  response.status = kNotImplemented;
  return response;
}

}  // namespace notp::api
