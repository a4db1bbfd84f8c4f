// What the registry answers on `health_listen`: health for probes, metrics for Prometheus, nothing
// else.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/registry.h>

#include <memory>

#include "common/http/router.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "notp-server/trust/root_store.hpp"

namespace notp {

struct HealthParts {
  const RootStore& roots;
  const Registry& registry;
  const FreshnessSigner& freshness;
  bool is_volatile = false;  // the disk takes no writes: nothing can be published or enrolled
  const prometheus::Collectable& service;
  // Of what registers its own metrics: the HTTP server.
  std::shared_ptr<prometheus::Registry> registered;
};

// The parts must outlive it. Thread-safe.
class HealthApi {
 public:
  explicit HealthApi(HealthParts parts);
  HealthApi(const HealthApi&) = delete;
  HealthApi& operator=(const HealthApi&) = delete;

  // For http::Server::listen(); this object must outlive the server.
  http::Handler handler() const { return router_.handler(); }

 private:
  // It listens once everything is open: who gets an answer may publish and subscribe. A damaged
  // ledger makes /health answer 503; the probes stay at 200, for the other ledgers are served and a
  // restart mends nothing.
  boost::asio::awaitable<http::Response> health(const http::Request& request) const;
  boost::asio::awaitable<http::Response> metrics(const http::Request& request) const;

  const HealthParts parts_;
  http::Router router_;
};

}  // namespace notp
