// Decisions through OPA's data API.
//
//   GET, POST /v1/data[/path]            OPA's data API
//   POST /v0/data[/path], POST /         the same with the input as the body
#pragma once

#include <functional>

#include "common/http/router.hpp"
#include "notp-client/api/data_api.hpp"
#include "notp-client/api/request_gate.hpp"
#include "notp-client/decision/decision_service.hpp"

namespace notp::api {

// Thread-safe. Gate and service outlive it.
class DataRoutes {
 public:
  // `engine_version`: of OPA, from any thread; empty: unknown.
  DataRoutes(RequestGate& gate, decision::DecisionService& decisions,
             std::function<std::string()> engine_version);

  // After this call the router calls this object.
  void add_to(http::Router& router);

 private:
  using Answer = boost::asio::awaitable<http::Response>;

  Answer data(const http::Request& request);
  Answer plain_data(const http::Request& request, decision::DecisionApi api);

  RequestGate& gate_;
  decision::DecisionService& decisions_;
  const std::function<std::string()> engine_version_;
};

}  // namespace notp::api
