// Decisions through AuthZEN 1.0.
//
//   POST /access/v1/evaluation, evaluations
//   GET /.well-known/authzen-configuration
#pragma once

#include <boost/asio/thread_pool.hpp>

#include "common/http/router.hpp"
#include "notp-client/api/request_gate.hpp"
#include "notp-client/decision/decision_service.hpp"

namespace notp::api {

// Thread-safe. Gate, service and pool outlive it. Large bodies are parsed on `pool`, so that they
// do not delay other requests.
class AuthzenRoutes {
 public:
  AuthzenRoutes(RequestGate& gate, decision::DecisionService& decisions,
                boost::asio::thread_pool& pool)
      : gate_(gate), decisions_(decisions), pool_(pool) {}

  // After this call the router calls this object.
  void add_to(http::Router& router);

 private:
  using Answer = boost::asio::awaitable<http::Response>;

  Answer evaluate(const http::Request& request, bool several);

  RequestGate& gate_;
  decision::DecisionService& decisions_;
  boost::asio::thread_pool& pool_;
};

}  // namespace notp::api
