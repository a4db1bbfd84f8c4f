// HTTP calls of one thread that another thread can end.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <optional>

#include "common/http/client.hpp"
#include "common/oauth/token_client.hpp"

namespace notp::sources {

// One call at a time; stop() is thread-safe.
class IssuerCalls {
 public:
  // With `tokens`, call_authorized() sends access tokens.
  explicit IssuerCalls(http::Client client, std::optional<oauth::TokenClient> tokens = std::nullopt)
      : client_(std::move(client)), tokens_(std::move(tokens)) {}
  IssuerCalls(const IssuerCalls&) = delete;
  IssuerCalls& operator=(const IssuerCalls&) = delete;

  // Blocks. The errors of Client::call(); kCancelled after stop().
  Result<http::Response> call(http::Call call);
  // The same; also the errors of TokenClient::call().
  Result<http::Response> call_authorized(http::Call call);
  // Ends the call that is under way, and all later ones.
  void stop();

 private:
  Result<http::Response> run(boost::asio::awaitable<Result<http::Response>> calling);

  const http::Client client_;
  std::optional<oauth::TokenClient> tokens_;
  std::atomic<bool> stopped_{false};
  boost::asio::io_context context_{1};
};

}  // namespace notp::sources
