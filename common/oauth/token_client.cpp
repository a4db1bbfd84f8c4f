#include "common/oauth/token_client.hpp"

#include <algorithm>

#include "common/oauth/oauth_limits.hpp"

namespace notp::oauth {

namespace asio = boost::asio;

namespace {

// The time until then, for a call of at most `most_ms`.
int64_t left_until(TimeMs until_ms, TimeMs most_ms) {
  return std::clamp<TimeMs>(until_ms - read_clock().boot_ms, 1, std::max<TimeMs>(1, most_ms));
}

}  // namespace

Result<TokenClient> TokenClient::open(ClientAuthConfig config, Server server,
                                      http::ClientOptions options) {
  if (config.method == Method::kTlsClientAuth) {
    options.tls.certificate = config.certificate;
    options.tls.private_key = config.private_key;
  }
  NOTP_ASSIGN(http::Client client, http::Client::open(options));
  return TokenClient(AccessCore(std::move(config), std::move(server)), std::move(options),
                     std::move(client));
}

asio::awaitable<Result<void>> TokenClient::get_token(const Credentials& credentials,
                                                     TimeMs until_ms) {
  // A certificate that was renewed is another one: the token will be bound to it.
  if (core_.config().method == Method::kTlsClientAuth) {
    auto client = http::Client::open(options_);
    if (!client) co_return std::unexpected(std::move(client).error());
    client_ = *std::move(client);
  }
  while (true) {
    const Now now = read_clock();
    auto request = core_.token_request(credentials, now.wall_ms, random_);
    if (!request) co_return std::unexpected(std::move(request).error());
    request->deadline_ms = left_until(until_ms, request->deadline_ms);
    auto response = co_await client_.call(*std::move(request));
    if (!response) co_return std::unexpected(std::move(response).error());
    const auto next = core_.on_token_answer(*response, credentials, now.boot_ms);
    if (!next) co_return std::unexpected(next.error());
    if (*next == AccessCore::Next::kDone) co_return Result<void>();
  }
}

asio::awaitable<Result<http::Response>> TokenClient::call(http::Call call) {
  const TimeMs until_ms = read_clock().boot_ms + call.deadline_ms;
  for (int calls = 1;; ++calls) {
    auto credentials = Credentials::read(core_.config());
    if (!credentials) co_return std::unexpected(std::move(credentials).error());
    if (!core_.has_token(*credentials, read_clock().boot_ms)) {
      auto got = co_await get_token(*credentials, until_ms);
      if (!got)
        co_return std::unexpected(std::move(got)
                                      .error()
                                      .in("access token")
                                      .with(kTokenEndpoint, core_.config().token_endpoint));
    }
    http::Call attempt = call;
    attempt.deadline_ms = left_until(until_ms, call.deadline_ms);
    if (auto authorized = core_.authorize(attempt, *credentials, read_clock().wall_ms, random_);
        !authorized)
      co_return std::unexpected(std::move(authorized).error());
    auto response = co_await client_.call(std::move(attempt));
    if (!response) co_return response;
    const auto next = core_.on_response(*response, calls == 1);
    if (next == AccessCore::Next::kDone || calls == kResourceCallsMax) co_return response;
  }
}

}  // namespace notp::oauth
