// The registry's HTTP listener for operators, `health_listen` of the configuration: metrics, and
// the routes that other components add.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

#include "common/http/router.hpp"
#include "common/http/server.hpp"
#include "common/telemetry/metrics_registry.hpp"

namespace notp::admin_http {

// Runs on one thread, that of the executor, as do the handlers.
class AdminHttp {
 public:
  // Serves `metrics`, which outlives it, at /metrics.
  explicit AdminHttp(const MetricsRegistry& metrics);
  AdminHttp(const AdminHttp&) = delete;
  AdminHttp& operator=(const AdminHttp&) = delete;

  // Routes are added before listen(). The data that their handlers use outlives this object.
  http::Router& router() { return router_; }

  // Starts to serve at "host:port". kConfig, kIo: see http::Server::listen().
  Result<void> listen(const boost::asio::any_io_executor& executor, const std::string& address);
  // Requests under way have a second to complete. Returns at once.
  void stop();

 private:
  const MetricsRegistry& metrics_;
  http::Router router_;
  std::unique_ptr<http::Server> server_;  // null until listen()
};

}  // namespace notp::admin_http
