// The active policies, and the agent's status.
//
//   GET /                         a page for a person
//   GET /v1/policies[/id]         the active policies
//   GET /v1/status                the agent's status
//   PUT, PATCH, DELETE, /v1/compile, …   501 with an alternative
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <functional>

#include "common/http/router.hpp"
#include "common/json/json.hpp"
#include "notp-client/api/left_out.hpp"
#include "notp-client/api/policies_api.hpp"
#include "notp-client/api/request_gate.hpp"

namespace notp::api {

// Called from the servers' threads.
struct StatusParts {
  std::function<json::object()> status;
  std::function<PolicySource()> policies;
};

// Thread-safe. Gate and pool outlive it. Policies are loaded on `pool`.
class StatusRoutes {
 public:
  StatusRoutes(RequestGate& gate, StatusParts parts, boost::asio::thread_pool& pool)
      : gate_(gate), parts_(std::move(parts)), pool_(pool) {}

  // After this call the router calls this object.
  void add_to(http::Router& router);

 private:
  using Answer = boost::asio::awaitable<http::Response>;

  Answer status(const http::Request& request);
  Answer policies(const http::Request& request);
  Answer left_out(const http::Request& request, const LeftOut& route);

  RequestGate& gate_;
  const StatusParts parts_;
  boost::asio::thread_pool& pool_;
};

}  // namespace notp::api
