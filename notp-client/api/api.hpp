// The agent's HTTP routes, one class per family: data_routes.hpp, authzen_routes.hpp,
// status_routes.hpp, health_routes.hpp (the only one on a health listener) and opa_routes.hpp.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <optional>

#include "notp-client/api/authzen_routes.hpp"
#include "notp-client/api/data_routes.hpp"
#include "notp-client/api/health_routes.hpp"
#include "notp-client/api/opa_routes.hpp"
#include "notp-client/api/status_routes.hpp"

namespace notp::api {

struct ApiParts {
  decision::DecisionService& decisions;
  std::function<std::string()> engine_version;  // of OPA, from any thread; empty: unknown
  HealthParts health;
  StatusParts status;
  std::optional<OpaParts> opa;  // nullopt: no OPA is fed
};

// Thread-safe. Service and pool outlive it.
class Api {
 public:
  Api(Access access, ApiParts parts, boost::asio::thread_pool& pool);

  // For http::Server::listen(); this object must outlive the servers.
  http::Handler handler() const { return router_.handler(); }
  // Health and metrics only, without authentication.
  http::Handler health_handler() const { return health_router_.handler(); }

  // Applies to new requests.
  void set(Access access) { gate_.set(std::move(access)); }

 private:
  RequestGate gate_;
  DataRoutes data_;
  AuthzenRoutes authzen_;
  StatusRoutes status_;
  HealthRoutes health_;
  std::optional<OpaRoutes> opa_;
  http::Router router_, health_router_;
};

}  // namespace notp::api
