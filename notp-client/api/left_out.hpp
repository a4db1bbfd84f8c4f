// Parts of OPA's API that are deliberately not implemented: 501 with the reason and an alternative.
#pragma once

#include <span>
#include <string_view>

#include "common/http/message.hpp"

namespace notp::api {

struct LeftOut {
  std::string_view methods, pattern;  // as in http::Router::add()
  std::string_view reason;
  std::string_view instead;
};

std::span<const LeftOut> left_out_routes();
// {"code": "not_implemented", "message": reason, "errors": [{"code": "api_usage", …}]}
http::Response left_out_response(const LeftOut& route);

extern const LeftOut kDecisionLogs;

// For an OPA that does not present its secret.
inline constexpr std::string_view kOpaSecretHint =
    "this is for the agent's own OPA, which has to show its secret: give OPA the configuration "
    "that "
    "'notp-client opa-config --config FILE' prints, and start it again";

}  // namespace notp::api
