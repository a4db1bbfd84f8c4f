// Health as probes and OPA's clients ask for it. Pure.
#pragma once

#include "common/http/message.hpp"
#include "common/json/json.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp {

enum class Readiness : uint8_t {
  kCurrent,  // decides, with models that are vouched for
  kStale,    // decides; the registry has not vouched for some model for longer than it should
  kExpired,  // some model must not be decided with any more: its decisions are undefined
  kNever,    // nothing has been activated yet
};

struct Health {
  Readiness readiness = Readiness::kNever;
  bool can_evaluate = false;
  std::vector<std::string> inactive;  // ledgers that nothing has been activated of yet
  json::object detail;                // added to the answer of /health/ready

  bool decides() const {
    return readiness == Readiness::kCurrent || readiness == Readiness::kStale;
  }
};

// GET /health/ready: 200, or 503 when nothing is active or some ledger has expired; `state` also in
// the header NOTP-State, for those who probe with HEAD.
http::Response ready_response(const Health& health, bool with_detail);

// OPA's GET /health: {} or {"error": …}, which comes with 503 (OPA: 500).
//   bundles, bundle   also: every ledger is active
//   plugins           also: no ledger has expired; exclude-plugin=bundle leaves this out
http::Response health_response(const http::Request& request, const Health& health);

// The input of a rule below data.system.health, as OPA has it: what is ready.
Bytes health_rule_input(const Health& health);
// What such a rule says: 200 for true alone.
http::Response health_rule_response(const std::vector<std::string>& path,
                                    const Result<Decision>& decision);

}  // namespace notp
