#include "notp-server/lane_inputs/remote_client.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace notp::lane_inputs {

namespace asio = boost::asio;

Result<RemoteClient> RemoteClient::open(const RemoteTerms& terms, const std::string& issuer,
                                        const Environment& environment) {
  http::ClientOptions options{.tls = terms.tls(), .proxy = {}, .environment = environment};
  if (terms.auth && terms.auth->method == oauth::Method::kTlsClientAuth) {
    options.tls.certificate = terms.auth->certificate;
    options.tls.private_key = terms.auth->private_key;
  }
  NOTP_ASSIGN(http::Client client, http::Client::open(options));
  std::optional<oauth::TokenClient> tokens;
  if (terms.auth) {
    NOTP_ASSIGN(tokens,
                oauth::TokenClient::open(*terms.auth, {issuer, terms.insecure_loopback}, options));
  }
  return RemoteClient(std::move(client), std::move(tokens));
}

asio::awaitable<Result<http::Response>> RemoteClient::call(http::Call call) {
  return tokens_ ? tokens_->call(std::move(call)) : client_.call(std::move(call));
}

asio::awaitable<Result<http::Response>> RemoteClient::call_public(http::Call call) {
  return client_.call(std::move(call));
}

Error status_error(std::string_view what, const http::Response& response) {
  constexpr unsigned kUnauthorized = 401, kForbidden = 403, kNotFound = 404, kTooMany = 429;
  std::string_view hint;
  ErrorCode code = ErrorCode::kUnavailable;
  switch (response.status) {
    case kUnauthorized:
    case kForbidden:
      code = ErrorCode::kDenied;
      hint =
          ": it does not take the access token, or the token's scopes are too few (a stream of "
          "the Shared Signals Framework needs ssf.read and ssf.manage: auth.scope)";
      break;
    case kNotFound:
      code = ErrorCode::kNotFound;
      hint = ": there is no such thing";
      break;
    case kTooMany:
      code = ErrorCode::kOverloaded;
      hint = ": it is asked too often";
      break;
    default:
      break;
  }
  return {code, fmt::format("{}: the transmitter answers {}{}", what, response.status, hint), {}};
}

TimeMs retry_after_ms(const http::Response& response) {
  constexpr TimeMs kSecond = 1'000, kSecondsMax = 24LL * 3600;
  const std::string_view text = http::find_header(response.headers, "Retry-After");
  TimeMs seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0) return 0;
  return std::min(seconds, kSecondsMax) * kSecond;
}

}  // namespace notp::lane_inputs
