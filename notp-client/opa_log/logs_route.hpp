// The decision log service of the agent's own OPA.
//
//   POST /logs
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include "common/http/message.hpp"
#include "notp-client/opa_log/intake.hpp"

namespace notp::opa_log {

// Thread-safe. Intake and pool outlive it.
//
// Answers 204 once all events are durable: OPA takes any 2xx for that, and sends them again after
// anything else. 400: not an array; 503 "audit_unavailable": they cannot be recorded now.
class OpaLogRoute {
 public:
  OpaLogRoute(Intake& intake, boost::asio::thread_pool& pool) : intake_(intake), pool_(pool) {}

  // The body is unpacked already; the caller has checked OPA's secret.
  boost::asio::awaitable<http::Response> logs_post(const http::Request& request);

 private:
  Intake& intake_;
  boost::asio::thread_pool& pool_;
};

}  // namespace notp::opa_log
