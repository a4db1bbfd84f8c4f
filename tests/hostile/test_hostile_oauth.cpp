// Authorization servers and resources that would have this side call without end, wait, hold too
// much, or send its secrets elsewhere.
#include <atomic>

#include "common/jose/signing_key.hpp"
#include "common/oauth/oauth_limits.hpp"
#include "common/oauth/token_client.hpp"
#include "common/storage/files.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

constexpr std::string_view kSecret = "the-client-secret";

// Answers as each case wants; counts what it was asked.
struct HostileServer {
  explicit HostileServer(http::Handler token, http::Handler resource)
      : host([this, token, resource](const http::Request& request) {
          const bool is_token = request.path == "/token";
          ++(is_token ? token_calls : resource_calls);
          return is_token ? token(request) : resource(request);
        }) {}

  oauth::TokenClient client(bool bound) {
    must_write("secret", kSecret);
    oauth::ClientAuthConfig config;
    config.client_id = "app";
    config.token_endpoint = url("/token");
    config.secret_file = folder.path() / "secret";
    if (bound) {
      must_write("dpop", jose::SigningKey::generate(jose::Algorithm::kEdDsa).value().pem().value());
      config.dpop_key_file = folder.path() / "dpop";
    }
    return oauth::TokenClient::open(std::move(config),
                                    {.issuer = url(""), .insecure_loopback = true}, {})
        .value();
  }
  Result<http::Response> call(oauth::TokenClient& client, int64_t deadline_ms = 60'000) {
    asio::io_context context(1);
    Result<http::Response> outcome = fail(ErrorCode::kInternal, "the call did not end");
    asio::co_spawn(context,
                   client.call({.url = url("/keys"),
                                .headers = {},
                                .body = {},
                                .deadline_ms = deadline_ms,
                                .answer_bytes_max = 1'000}),
                   [&](const std::exception_ptr& exception, Result<http::Response> result) {
                     if (!exception) outcome = std::move(result);
                   });
    context.run();
    if (!outcome)
      CHECK_MESSAGE(outcome.error().message.find(kSecret) == std::string::npos,
                    outcome.error().message);
    return outcome;
  }
  std::string url(std::string_view path) const {
    return fmt::format("http://127.0.0.1:{}{}", host.server->port(), path);
  }
  void must_write(const char* name, std::string_view text) const {
    REQUIRE(write_file(folder.path() / name, text, 0600));
  }

  TemporaryFolder folder;
  std::atomic<int> token_calls{0}, resource_calls{0};
  HttpHost host;
};

http::Handler always(unsigned status, std::string body, http::Headers headers = {}) {
  return [=](const http::Request&) -> asio::awaitable<http::Response> {
    co_return http::Response{.status = status, .headers = headers, .body = body};
  };
}
// Refuses each request for a nonce of its own.
http::Handler nonce_after_nonce(unsigned status) {
  return [status, count = std::make_shared<std::atomic<int>>(0)](
             const http::Request&) -> asio::awaitable<http::Response> {
    co_return http::Response{.status = status,
                             .headers = {{"DPoP-Nonce", fmt::format("n-{}", ++*count)},
                                         {"WWW-Authenticate", "DPoP error=\"use_dpop_nonce\""}},
                             .body = R"({"error":"use_dpop_nonce"})"};
  };
}
http::Handler good_token(const char* type) {
  return always(200,
                fmt::format(R"({{"access_token":"t","token_type":"{}","expires_in":300}})", type));
}
// For longer than a test has.
asio::awaitable<http::Response> hang(const http::Request&) {
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
  co_await timer.async_wait(asio::use_awaitable);
  co_return http::Response{};
}

TEST_CASE("a server that wants nonce after nonce gets one more request, not many") {
  HostileServer server(nonce_after_nonce(400), always(200, "{}"));
  auto client = server.client(true);
  const auto outcome = server.call(client);
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == ErrorCode::kDenied);
  CHECK(server.token_calls == 2);
  CHECK(server.resource_calls == 0);
}

TEST_CASE("a resource that wants nonce after nonce, or token after token, gets few requests") {
  HostileServer nonces(good_token("DPoP"), nonce_after_nonce(401));
  auto bound = nonces.client(true);
  CHECK(nonces.call(bound).value().status == 401);
  CHECK(nonces.resource_calls == 2);
  CHECK(nonces.token_calls == 1);

  HostileServer refusing(good_token("Bearer"), always(401, ""));
  auto bearer = refusing.client(false);
  CHECK(refusing.call(bearer).value().status == 401);
  CHECK(refusing.resource_calls == 1);
  CHECK(refusing.token_calls == 1);
  CHECK(refusing.call(bearer).value().status == 401);
  CHECK(refusing.resource_calls == 2);
  CHECK(refusing.token_calls == 2);
}

TEST_CASE("a redirect of either is not followed: it would carry the secret or the token away") {
  HostileServer elsewhere(good_token("Bearer"), always(200, "{}"));
  const http::Headers to{{"Location", elsewhere.url("/token")}};
  HostileServer at_token(always(307, "", to), always(200, "{}"));
  auto client = at_token.client(false);
  CHECK(at_token.call(client).error().code == ErrorCode::kDenied);
  HostileServer at_keys(good_token("Bearer"), always(307, "", to));
  auto other = at_keys.client(false);
  CHECK(at_keys.call(other).value().status == 307);
  CHECK(elsewhere.token_calls == 0);
  CHECK(elsewhere.resource_calls == 0);
}

TEST_CASE("an answer that is too large, a token that is not bound, and a refusal that repeats us") {
  struct Row {
    http::Handler token;
    bool bound;
    ErrorCode code;
  };
  for (const Row& row :
       {Row{always(200, std::string(oauth::kTokenAnswerBytesMax + 1, ' ')), false,
            ErrorCode::kLimit},
        Row{good_token("Bearer"), true, ErrorCode::kMessage},
        Row{good_token("DPoP"), false, ErrorCode::kMessage},
        Row{always(401, fmt::format(R"({{"error":"{}"}})", kSecret)), false, ErrorCode::kDenied},
        Row{always(500, std::string(kSecret)), false, ErrorCode::kUnavailable}}) {
    HostileServer server(row.token, always(200, "{}"));
    auto client = server.client(row.bound);
    const auto outcome = server.call(client);
    REQUIRE_FALSE(outcome);
    CHECK_MESSAGE(outcome.error().code == row.code, outcome.error().message);
    CHECK(outcome.error().message.starts_with("access token: "));
    CHECK(server.resource_calls == 0);
  }
}

TEST_CASE("one deadline holds for the token and the resource") {
  constexpr int64_t kDeadlineMs = 200;
  HostileServer at_token(hang, always(200, "{}"));
  auto client = at_token.client(false);
  CHECK(at_token.call(client, kDeadlineMs).error().code == ErrorCode::kTimeout);
  HostileServer at_keys(good_token("Bearer"), hang);
  auto other = at_keys.client(false);
  // The first call may end before the token is there, on a slow machine.
  CHECK(at_keys.call(other, kDeadlineMs).error().code == ErrorCode::kTimeout);
}

}  // namespace
}  // namespace notp
