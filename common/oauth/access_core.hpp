// Decides when a request to a protected resource needs a token, a nonce, or another attempt. A
// core: no sockets, files or clocks.
#pragma once

#include <optional>
#include <string>

#include "common/oauth/client_auth.hpp"

namespace notp::oauth {

// One access token, and until when it is used.
struct AccessToken {
  std::string text;
  std::string key_thumbprint;  // of the DPoP key that it is bound to; empty: a bearer token
  TimeMs until_ms = 0;         // boot time
};

// Reads the answer of a token endpoint (RFC 6749 §5). `key_thumbprint` as in AccessToken: a token
// of another type than the one asked for is refused (RFC 9449 §5). kDenied: the server refuses,
// with its error code; kUnavailable: status 429 or 5xx; kMessage: not such an answer. Errors repeat
// nothing else of it.
Result<AccessToken> read_token_answer(const http::Response& response, std::string key_thumbprint,
                                      TimeMs asked_boot_ms);

// For one client at one server. One thread.
class AccessCore {
 public:
  AccessCore(ClientAuthConfig config, Server server)
      : config_(std::move(config)), server_(std::move(server)) {}

  enum class Next : uint8_t { kDone, kAgain };

  // Whether there is a token to use now with these credentials.
  bool has_token(const Credentials& credentials, TimeMs boot_ms) const;
  Result<http::Call> token_request(const Credentials& credentials, TimeMs wall_ms, Random& random);
  // kAgain, once for each token: the server gave a nonce to use. Errors of read_token_answer().
  Result<Next> on_token_answer(const http::Response& response, const Credentials& credentials,
                               TimeMs asked_boot_ms);

  // Adds the token to a request (RFC 6750 §2.1, RFC 9449 §7.1); has_token() holds. kUsage: the URL
  // is not https; kInternal.
  Result<void> authorize(http::Call& call, const Credentials& credentials, TimeMs wall_ms,
                         Random& random) const;
  // What follows from a resource's response: kAgain for a nonce, or with a new token when it
  // refuses one that was kept. It says so at most twice for one request, whose first call is
  // `first`.
  Next on_response(const http::Response& response, bool first);

  const ClientAuthConfig& config() const { return config_; }

 private:
  ClientAuthConfig config_;
  Server server_;
  std::optional<AccessToken> token_;
  std::string server_nonce_, resource_nonce_;
  bool repeated_token_ = false;  // the request for a token, for a nonce
  bool repeated_call_ = false;   // the request to a resource, for a nonce
  bool is_new_token_ = false;    // no resource has taken it yet
};

}  // namespace notp::oauth
