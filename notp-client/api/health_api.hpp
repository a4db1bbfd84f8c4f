// Health responses for probes and for clients of OPA's API. Pure.
#pragma once

#include "common/http/message.hpp"
#include "common/json/json.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp::api {

enum class Readiness : uint8_t {
  kCurrent,  // decides with models that the registry attests
  kStale,    // decides; the registry's last statement about some model is older than it should be
  kExpired,  // some model must not be used any more: its decisions are undefined
  kNever,    // nothing has been activated yet
  // Decisions are refused, because they cannot be recorded and the configuration demands it.
  kAuditUnavailable,
};

struct Health {
  Readiness readiness = Readiness::kNever;
  bool can_evaluate = false;
  std::vector<std::string> inactive;  // ledgers without an active release
  json::object detail;                // added to the answer of /health/ready

  bool decides() const {
    return readiness == Readiness::kCurrent || readiness == Readiness::kStale;
  }
};

// GET /health/ready: 200, or 503 when nothing is active, some ledger has
// expired or decisions cannot be recorded; `state` is also
// in the header NOTP-State, for probes that use HEAD.
http::Response ready_response(const Health& health, bool with_detail);

// OPA's GET /health: {} or, with status 503 (OPA: 500), {"error": …}.
//   bundles, bundle   also: every ledger is active
//   plugins           also: no ledger has expired; exclude-plugin=bundle leaves this out
http::Response health_response(const http::Request& request, const Health& health);

// The input of a rule below data.system.health, in OPA's form: what is ready.
Bytes health_rule_input(const Health& health);
// The response for the result of such a rule: 200 only for true.
http::Response health_rule_response(const std::vector<std::string>& path,
                                    const Result<pdp::Decision>& decision);

}  // namespace notp::api
