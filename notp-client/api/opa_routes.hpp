// The bundle and status services of the agent's own OPA.
//
//   GET /bundles/notp, POST /status, POST /logs
#pragma once

#include <functional>
#include <string>

#include "common/http/router.hpp"
#include "notp-client/api/request_gate.hpp"

namespace notp::api {

// Called from the servers' threads.
struct OpaParts {
  http::Handler bundle, status;
  http::Handler logs;                         // empty: they are not taken here
  std::string secret;                         // that OPA has to present
  std::function<void(bool accepted)> showed;  // called with each of its requests; may be empty
};

// Thread-safe. The gate outlives it.
class OpaRoutes {
 public:
  OpaRoutes(RequestGate& gate, OpaParts parts) : gate_(gate), parts_(std::move(parts)) {}

  // After this call the router calls this object.
  void add_to(http::Router& router);

 private:
  // Calls `next` if the peer is on this machine and presents the secret; else 401. `next` outlives
  // the answer.
  boost::asio::awaitable<http::Response> guarded(const http::Request& request,
                                                 const http::Handler& next);

  RequestGate& gate_;
  const OpaParts parts_;
};

}  // namespace notp::api
