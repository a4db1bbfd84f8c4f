// Calls protected resources with access tokens of an authorization server.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>

#include "common/http/client.hpp"
#include "common/oauth/access_core.hpp"

namespace notp::oauth {

// In the context of an error of the token endpoint, with its URL: the resource was not asked.
inline constexpr const char* kTokenEndpoint = "token_endpoint";

// One call at a time; it must outlive the call.
class TokenClient {
 public:
  // `options` are those of both the server and the resource; with tls_client_auth their certificate
  // is the configuration's. kConfig: a file cannot be read.
  static Result<TokenClient> open(ClientAuthConfig config, Server server,
                                  http::ClientOptions options);

  // Calls a resource, within call.deadline_ms in all: gets a token first if none is kept, and tries
  // again, within kResourceCallsMax calls, for a nonce (RFC 9449 §9) and with a new token when a
  // kept one is refused. Any other status is a success, as in http::Client::call(). Errors are its
  // and AccessCore's, those of the token endpoint as "access token: …", with kTokenEndpoint; none
  // of them holds a secret or a token. The caller decides which hosts may see the token: `call.url`
  // is one of them.
  boost::asio::awaitable<Result<http::Response>> call(http::Call call);

 private:
  TokenClient(AccessCore core, http::ClientOptions options, http::Client client)
      : core_(std::move(core)), options_(std::move(options)), client_(std::move(client)) {}

  boost::asio::awaitable<Result<void>> get_token(const Credentials& credentials, TimeMs until_ms);

  AccessCore core_;
  http::ClientOptions options_;
  http::Client client_;
  SystemRandom random_;
};

}  // namespace notp::oauth
