// The agent's HTTP routes on loopback.
//
//   GET, POST /v1/data[/path]                 OPA's data API
//   POST /access/v1/evaluation, evaluations   AuthZEN 1.0
//   GET /.well-known/authzen-configuration    AuthZEN 1.0 metadata
//   GET /health/live, /health/ready           for supervisors and load balancers
//   GET /metrics                              Prometheus text format
//   GET /v1/status                            what the agent knows and does
//   GET /bundles/notp, POST /status           for an OPA, when the agent feeds one
#pragma once

#include <prometheus/registry.h>

#include <boost/asio/thread_pool.hpp>

#include "common/http/server.hpp"
#include "notp-client/decision/decision_service.hpp"

namespace notp {

enum class Readiness {
  kCurrent,  // decides, with models that are vouched for
  kStale,    // decides; the registry has not vouched for some model for longer than it should
  kExpired,  // some model must not be decided with any more: its decisions are undefined
  kNever,    // nothing has been activated yet
};

struct Health {
  Readiness readiness = Readiness::kNever;
  json::object detail;  // added to the answer
};

struct ApiOptions {
  std::string authzen_path = "authzen/allow";  // of the rule that AuthZEN asks, below data
};

// All are called from the server's threads.
struct ApiParts {
  DecisionService* decisions = nullptr;
  std::function<Health()> health;
  std::function<json::value()> status;
  std::shared_ptr<prometheus::Registry> metrics;
  http::Handler opa_bundle;  // empty: no OPA is fed
  http::Handler opa_status;
};

// Large bodies are read on `pool`, so that they do not hold up the others.
class Api {
 public:
  Api(ApiOptions options, ApiParts parts, boost::asio::thread_pool& pool);

  // For http::Server::listen(); this object must outlive the server.
  http::Handler handler();

 private:
  using Answer = boost::asio::awaitable<http::Response>;
  using Route = std::function<Answer(const http::Request&)>;
  struct Entry {
    std::string_view methods;  // "GET HEAD"
    Route route;
  };

  const Entry* find(std::string_view path) const;
  Answer answer(const http::Request& request);
  Answer data(const http::Request& request);
  Answer authzen(const http::Request& request, bool several);
  Answer configuration(const http::Request& request);
  Answer ready(const http::Request& request);
  Answer serialize_metrics(const http::Request& request);
  Answer agent_status(const http::Request& request);
  const ApiOptions options_;
  const ApiParts parts_;
  boost::asio::thread_pool& pool_;
  std::map<std::string, Entry, std::less<>> routes_;
};

}  // namespace notp
