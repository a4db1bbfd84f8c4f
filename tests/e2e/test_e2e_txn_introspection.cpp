// A token service that asks the issuer of its subject tokens: a real oidc-provider with opaque
// tokens, beside an issuer whose endpoint hangs.
#include <doctest/doctest.h>

#include "tests/support/process/txn_site.hpp"
#include "tests/support/providers/openid_provider.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

// It takes requests, and answers none before its end.
struct Silent {
  Silent()
      : host([this](const http::Request&) -> asio::awaitable<http::Response> {
          ++requests;
          asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
          co_await timer.async_wait(asio::use_awaitable);
          co_return http::Response{};
        }) {}
  std::string url() const { return fmt::format("http://127.0.0.1:{}/", host.server->port()); }

  std::atomic<int> requests{0};
  HttpHost host;
};

json::object introspection(const TxnSite& site, const std::string& url, json::object more) {
  json::object out{{"url", url},
                   {"auth", json::object{{"method", "client_secret_basic"},
                                         {"client_id", "app"},
                                         {"secret_file", site.stack.file("secret").string()}}},
                   {"insecure_loopback", true}};
  for (const auto& [name, value] : more) out[name] = value;
  return out;
}

TEST_CASE("an opaque token is its issuer's word, and a silent issuer is its own tokens' trouble") {
  TxnSite site;
  Silent silent;
  must(write_file(site.stack.file("secret"), "app-secret", 0600));
  const DrivenProvider provider(
      DrivenProvider::Kind::kOidcProvider,
      {.folder = site.stack.file("."),
       .more = {{"token_format", "opaque"}, {"login_scope", "orders invoices.write"}}});
  // JWTs of the lane's issuer are asked about at one that does not answer.
  json::object jwts = site.service_config().at("subjects").at(0).as_object();
  jwts["introspection"] = introspection(site, silent.url(), {{"timeout_ms", 300}});
  site.service_more["subjects"] = json::array{
      jwts,
      json::object{{"issuer", provider.issuer()},
                   {"keys", "login"},
                   {"audience", "orders"},
                   {"introspection", introspection(site, provider.issuer() + "/token/introspection",
                                                   {{"opaque", true}})}}};
  Agent& service = site.start();
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const auto ask = [&](const std::string& token) { return shop.ask(site.request(token)); };

  const std::string token = provider.login();
  const TokenAnswer given = ask(token);
  REQUIRE_MESSAGE(given.status == 200, json::serialize(given.body));
  CHECK(text_at(given.claims(), "sub") == "ada");
  CHECK(ask("2YotnFZFEjr1zCsicMWpAA").status == 400);
  CHECK(provider.requests("/token/introspection") == 2);
  provider.revoke(token);
  const TokenAnswer revoked = ask(token);
  CHECK(revoked.error() == "invalid_request");
  CHECK(text_at(revoked.body, "error_description").contains("not active"));

  const TokenAnswer unanswered = ask(site.lane.jwt());
  CHECK(unanswered.status == 503);
  CHECK(unanswered.error() == "temporarily_unavailable");
  CHECK(unanswered.retry_after == "5");
  CHECK(silent.requests == 1);
  CHECK(text_at(unanswered.body, "error_description").contains("within 300 ms"));
  // No token in the log.
  const std::string log = read_text(service.log_file());
  CHECK(log.contains("txn_introspection_failed"));
  CHECK_FALSE(log.contains(token));
}

}  // namespace
}  // namespace notp
