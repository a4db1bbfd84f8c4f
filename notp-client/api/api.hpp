// The agent's HTTP routes.
//
//   GET, POST /v1/data[/path]                 OPA's data API
//   POST /v0/data[/path], POST /              the same with the input as the body
//   POST /access/v1/evaluation, evaluations   AuthZEN 1.0
//   GET /.well-known/authzen-configuration    AuthZEN 1.0 metadata
//   GET /v1/policies[/id]                     what is decided with
//   GET /v1/status                            what the agent knows and does
//   GET /health[/path], /metrics              for probes and Prometheus; alone on a health listener
//   GET /bundles/notp, POST /status, /logs    for an OPA that the agent feeds, with its secret
//   PUT, PATCH, DELETE, /v1/compile, …        501 with what to do instead
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <boost/asio/thread_pool.hpp>
#include <mutex>
#include <unordered_map>

#include "common/current.hpp"
#include "common/http/router.hpp"
#include "notp-client/api/access.hpp"
#include "notp-client/api/data_api.hpp"
#include "notp-client/api/health_api.hpp"
#include "notp-client/api/policies_api.hpp"
#include "notp-client/decision/decision_service.hpp"

namespace notp {

// What SIGHUP and a changed file replace.
struct ApiSettings {
  Access access;
  std::vector<std::string> default_decision;  // segments below data
  std::vector<std::string> authzen_path;      // the same
};

// All are called from the servers' threads.
struct ApiParts {
  DecisionService* decisions = nullptr;
  std::function<Health()> health;
  std::function<json::object()> status;
  std::function<PolicySource()> policies;
  std::function<std::string()> engine_version;  // of OPA; empty: not known
  std::shared_ptr<prometheus::Registry> metrics;
  std::function<void()> refresh_metrics;  // called before they are collected; may be empty
  bool logs_decisions = false;            // one line each, at debug
  http::Handler opa_bundle;               // empty: no OPA is fed
  http::Handler opa_status;
  std::string opa_secret;                         // what that OPA has to show
  std::function<void(bool accepted)> opa_showed;  // called with each of its requests; may be empty
};

// Counts what each caller has under way. Thread-safe.
class CallersAtOnce {
 public:
  // One request, for as long as it lives.
  class Place {
   public:
    Place() = default;
    Place(CallersAtOnce* owner, std::string caller) : owner_(owner), caller_(std::move(caller)) {}
    Place(Place&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), caller_(std::move(other.caller_)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (owner_) owner_->leave(caller_);
    }

   private:
    CallersAtOnce* owner_ = nullptr;
    std::string caller_;
  };

  // Nothing when the caller has `at_once` under way already; 0: it may have any number.
  std::optional<Place> enter(const std::string& caller, size_t at_once);

 private:
  void leave(const std::string& caller);

  std::mutex mutex_;
  std::unordered_map<std::string, size_t> under_way_;  // guarded by mutex_
};

// Thread-safe. Large bodies are read on `pool`, so that they do not hold up the others.
class Api {
 public:
  Api(ApiSettings settings, ApiParts parts, boost::asio::thread_pool& pool);

  // For http::Server::listen(); this object must outlive the servers.
  http::Handler handler() const { return router_.handler(); }
  // Health and metrics alone, for anyone.
  http::Handler health_handler() const { return health_router_.handler(); }

  // For requests that come from now on.
  void set(ApiSettings settings);

 private:
  using Answer = boost::asio::awaitable<http::Response>;
  // Who asks, and its place among what it has under way.
  struct Admitted {
    std::shared_ptr<const ApiSettings> settings;
    Caller caller;
    CallersAtOnce::Place place;
  };
  using Admission = std::expected<Admitted, http::Response>;

  void add_health_routes(http::Router& router, bool for_anyone);
  void add_data_routes();
  void add_opa_routes();
  http::Handler own(Answer (Api::*route)(const http::Request&));

  // Whether the request may be served, which is then counted and logged.
  Admission admit(const http::Request& request);
  http::Response refuse(const http::Request& request, const Refusal& refusal);
  // `next` when the peer shows the secret of the agent's own OPA.
  Answer as_opa(const http::Request& request, const http::Handler& next);

  Answer data(const http::Request& request);
  Answer plain_data(const http::Request& request);
  Answer default_decision(const http::Request& request);
  Answer ask_plain(const http::Request& request, Admitted admitted, DataQuestion asked);
  Answer evaluation(const http::Request& request);
  Answer evaluations(const http::Request& request);
  Answer authzen(const http::Request& request, bool several);
  Answer authzen_metadata(const http::Request& request);
  Answer ready(const http::Request& request, bool with_detail);
  Answer health(const http::Request& request);
  Answer health_rule(const http::Request& request);
  Answer metrics(const http::Request& request);
  Answer status(const http::Request& request);
  Answer policies(const http::Request& request);
  Answer logs(const http::Request& request);

  Current<ApiSettings> settings_;
  const ApiParts parts_;
  boost::asio::thread_pool& pool_;
  http::Router router_, health_router_;
  CallersAtOnce at_once_;
  prometheus::Family<prometheus::Counter>& refused_;
  std::mutex refusals_mutex_;
  RefusalLog refusals_;  // guarded by refusals_mutex_
};

}  // namespace notp
