#include "notp-server/admin_http/admin_http.hpp"

#include "common/host_port.hpp"
#include "common/http/metrics_route.hpp"
#include "common/log.hpp"

namespace notp::admin_http {
namespace {

constexpr int64_t kGraceMs = 1'000;

}  // namespace

AdminHttp::AdminHttp(const MetricsRegistry& metrics) : metrics_(metrics) {
  router_.add("GET", "/metrics",
              [this](const http::Request&) -> boost::asio::awaitable<http::Response> {
                co_return http::metrics_response(metrics_);
              });
}

Result<void> AdminHttp::listen(const boost::asio::any_io_executor& executor,
                               const std::string& address) {
  NOTP_ASSIGN(const HostPort where, HostPort::parse(address));
  const http::TcpEndpoint endpoint{.address = where.host == "localhost" ? "127.0.0.1" : where.host,
                                   .port = where.port,
                                   .beyond_loopback = true};
  NOTP_ASSIGN(server_, http::Server::listen(executor, endpoint,
                                            {.name = "health", .metrics = metrics_.families()},
                                            router_.handler()));
  log::info("health_serving", {{"port", server_->port()}});
  return {};
}

void AdminHttp::stop() {
  if (server_) server_->stop(kGraceMs);
}

}  // namespace notp::admin_http
