// Calls a transmitter, with an access token where one is configured.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/http/client.hpp"
#include "common/oauth/token_client.hpp"
#include "notp-server/lane_inputs/event_config.hpp"

namespace notp::lane_inputs {

// One call at a time; it must outlive the call.
class RemoteClient {
 public:
  // `issuer` is the audience of assertions at the authorization server. kConfig: a file cannot be
  // read.
  static Result<RemoteClient> open(const RemoteTerms& terms, const std::string& issuer,
                                   const Environment& environment);

  // Any status is a success. Errors of oauth::TokenClient::call().
  boost::asio::awaitable<Result<http::Response>> call(http::Call call);
  // Without an access token, for documents that are public.
  boost::asio::awaitable<Result<http::Response>> call_public(http::Call call);

 private:
  RemoteClient(http::Client client, std::optional<oauth::TokenClient> tokens)
      : client_(std::move(client)), tokens_(std::move(tokens)) {}

  http::Client client_;
  std::optional<oauth::TokenClient> tokens_;
};

// The error of an unexpected status, for a person: what to look at for 401, 403 and 404.
Error status_error(std::string_view what, const http::Response& response);
// Retry-After in seconds (RFC 9110 §10.2.3); 0: none, or a date.
TimeMs retry_after_ms(const http::Response& response);

}  // namespace notp::lane_inputs
