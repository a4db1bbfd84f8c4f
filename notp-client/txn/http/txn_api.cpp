#include "notp-client/txn/http/txn_api.hpp"

#include "common/log.hpp"
#include "common/storage/files.hpp"
#include "notp-client/txn/http/http_limits.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {
namespace {

constexpr int64_t kGraceMs = 1'000;

http::Handler document(std::function<json::object()> make) {
  return [make = std::move(make)](const http::Request&) -> boost::asio::awaitable<http::Response> {
    http::Response response;
    response.body = json::serialize(make());
    co_return response;
  };
}

http::ServerOptions options_of(const ServiceConfig& config,
                               std::shared_ptr<prometheus::Registry> metrics) {
  http::ServerOptions out{.name = "txn", .hosts = config.listen.hosts};
  out.body_bytes_max = out.gzip_body_bytes_max = limits::kTxnFormBytesMax;
  out.admission = std::make_shared<http::Admission>(
      http::AdmissionOptions{.connections_max = config.limits.connections});
  out.metrics = std::move(metrics);
  out.metrics_prefix = "notp_txn_http";
  return out;
}

}  // namespace

TxnApi::TxnApi(TokenEndpoint& token, AdminRoutes& admin, TxnDocuments documents)
    : documents_(std::move(documents)) {
  router_.add("POST", "/token", [&token](const http::Request& r) { return token.answer(r); });
  router_.add("GET", "/jwks", document(documents_.jwks));
  router_.add("GET", "/.well-known/oauth-authorization-server", document(documents_.metadata));
  admin.add_to(router_);
}

Result<void> TxnApi::listen(boost::asio::any_io_executor executor, const ServiceConfig& config,
                            std::shared_ptr<prometheus::Registry> metrics) {
  endpoint_ = config.listen.endpoint;
  auto server = http::Server::listen(std::move(executor), endpoint_,
                                     options_of(config, std::move(metrics)), handler());
  if (!server) return std::unexpected(std::move(server).error().in("txn.service.listen"));
  server_ = *std::move(server);
  if (!config.listen.port_file.empty())
    NOTP_TRY(write_file(config.listen.port_file, server_->address() + "\n"));
  log::info("txn_listening", {{"address", server_->address()}, {"issuer", config.issuer}});
  return {};
}

std::vector<std::filesystem::path> TxnApi::files() const {
  return {endpoint_.certificate, endpoint_.private_key, endpoint_.client_authorities};
}

void TxnApi::look() {
  const auto changed = server_->reload(endpoint_);
  if (changed) {
    file_error_.clear();
    if (*changed) log::info("listener_certificates_changed", {{"address", server_->address()}});
  } else if (std::exchange(file_error_, changed.error().message) != changed.error().message) {
    log::write(log::Level::kError, "listener_not_changed", changed.error(), {{"listener", "txn"}});
  }
}

void TxnApi::stop(std::function<void()> ended) {
  if (!server_) return ended();
  server_->stop(kGraceMs, std::move(ended));
}

}  // namespace notp::txn
