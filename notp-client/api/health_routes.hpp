// Health and metrics.
//
//   GET /health[/path]   for probes
//   GET /metrics         for Prometheus
#pragma once

#include <prometheus/registry.h>

#include <functional>
#include <memory>

#include "common/http/router.hpp"
#include "notp-client/api/health_api.hpp"
#include "notp-client/api/request_gate.hpp"
#include "notp-client/decision/decision_service.hpp"

namespace notp::api {

// Called from the servers' threads.
struct HealthParts {
  std::function<Health()> health;
  std::shared_ptr<prometheus::Registry> metrics;
  std::function<void()> refresh_metrics;  // called before they are collected; may be empty
};

// Thread-safe. Gate and service outlive it.
class HealthRoutes {
 public:
  HealthRoutes(RequestGate& gate, decision::DecisionService& decisions, HealthParts parts)
      : gate_(gate), decisions_(decisions), parts_(std::move(parts)) {}

  // After this call the router calls this object. With `for_anyone` access is not checked and no
  // detail is hidden; otherwise metrics and the details of /health/ready need the right to see
  // everything.
  void add_to(http::Router& router, bool for_anyone);

 private:
  using Answer = boost::asio::awaitable<http::Response>;

  Answer ready(const http::Request& request, bool for_anyone);
  Answer health(const http::Request& request);
  Answer health_rule(const http::Request& request);
  Answer metrics(const http::Request& request, bool for_anyone);

  RequestGate& gate_;
  decision::DecisionService& decisions_;
  const HealthParts parts_;
};

}  // namespace notp::api
