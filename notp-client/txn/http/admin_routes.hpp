// What administrators see and end: keys and grants of the service.
//
//   GET  /admin/keys                {"keys": […]}
//   POST /admin/keys/<kid>/revoke   {"revoked": "<kid>"}
//   GET  /admin/grants              {"grants": […], "next"}; ?client=, ?txn=, ?from=
//   POST /admin/grants/revoke       body {"grant": id} or {"txn": id}, and "from":
//                                   {"grants": count, "txns": […], "next", "issuer", "lane"}
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/http/router.hpp"
#include "notp-client/txn/http/grants_host.hpp"
#include "notp-client/txn/http/release_facts.hpp"
#include "notp-client/txn/http/txn_metrics.hpp"
#include "notp-client/txn/service_config.hpp"

namespace notp::txn {

struct KeyAdmin {
  std::function<json::array()> list;
  std::function<Result<void>(const std::string& kid)> revoke;  // kNotFound
};

// Thread-safe. All of it outlives the routes; functions are called on any thread.
class AdminRoutes {
 public:
  // `lane`: the token lane that this node follows; empty: none.
  AdminRoutes(const ServiceConfig& config, CurrentFacts& facts, GrantsHost& grants, KeyAdmin keys,
              std::string lane, TxnMetrics& metrics);

  // After this call the router calls this object.
  void add_to(http::Router& router);

 private:
  using Answer = boost::asio::awaitable<http::Response>;
  // The refusal of who may not; and who asks.
  struct Admin {
    std::optional<http::Response> refusal;
    std::string identity;
  };

  boost::asio::awaitable<Admin> admit(const http::Request& request);
  Answer list_keys(const http::Request& request);
  Answer revoke_key(const http::Request& request);
  Answer list_grants(const http::Request& request);
  Answer revoke_grants(const http::Request& request);

  const std::string trust_domain_, issuer_, lane_;
  const std::vector<model::SpiffePattern> admins_;
  CurrentFacts& facts_;
  GrantsHost& grants_;
  const KeyAdmin keys_;
  TxnMetrics& metrics_;
};

}  // namespace notp::txn
