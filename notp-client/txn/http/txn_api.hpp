// The service's listener and its routes.
//
//   POST /token                                    the token endpoint (RFC 8693)
//   GET  /jwks                                     its public keys (RFC 7517)
//   GET  /.well-known/oauth-authorization-server   its metadata (RFC 8414)
//   /admin/…                                       admin_routes.hpp
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/http/server.hpp"
#include "notp-client/txn/http/admin_routes.hpp"
#include "notp-client/txn/http/token_endpoint.hpp"

namespace notp::txn {

// Public documents. Called on any thread.
struct TxnDocuments {
  std::function<json::object()> jwks, metadata;
};

// Thread-safe, unless stated otherwise.
class TxnApi {
 public:
  // All of it outlives the listener's connections.
  TxnApi(TokenEndpoint& token, AdminRoutes& admin, TxnDocuments documents);

  // Listens on `executor`, once. kConfig, kIo.
  Result<void> listen(boost::asio::any_io_executor executor, const ServiceConfig& config,
                      std::shared_ptr<prometheus::Registry> metrics);
  // Reads the files again. One thread.
  void look();
  std::vector<std::filesystem::path> files() const;
  // Requests under way are still answered. `ended` is called from any thread once no connection is
  // left. Once.
  void stop(std::function<void()> ended);

  std::string address() const { return server_ ? server_->address() : std::string(); }
  http::Handler handler() const { return router_.handler(); }

 private:
  http::Router router_;
  const TxnDocuments documents_;
  http::TlsEndpoint endpoint_;
  std::unique_ptr<http::Server> server_;
  std::string file_error_;  // logged once while it lasts
};

}  // namespace notp::txn
