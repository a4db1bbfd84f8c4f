// HTTP calls of one thread that another thread can end.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>

#include "common/http/client.hpp"

namespace notp::sources {

// One call at a time; stop() is thread-safe.
class IssuerCalls {
 public:
  explicit IssuerCalls(http::Client client) : client_(std::move(client)) {}
  IssuerCalls(const IssuerCalls&) = delete;
  IssuerCalls& operator=(const IssuerCalls&) = delete;

  // Blocks. The errors of Client::call(); kCancelled after stop().
  Result<http::Response> call(http::Call call);
  // Ends the call that is under way, and all later ones.
  void stop();

 private:
  const http::Client client_;
  std::atomic<bool> stopped_{false};
  boost::asio::io_context context_{1};
};

}  // namespace notp::sources
