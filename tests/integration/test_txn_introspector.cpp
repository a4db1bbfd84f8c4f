// Issuers are asked about subject tokens: oidc-provider, and endpoints that hang, lie or talk too
// much. One that is slow holds up no request for another's tokens.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>

#include "common/log.hpp"
#include "common/storage/files.hpp"
#include "notp-client/txn/http/introspector.hpp"
#include "notp-client/txn/txn_limits.hpp"
#include "tests/support/providers/openid_provider.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/http_host.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp::txn {
namespace {

namespace asio = boost::asio;

const std::string kToken = "2YotnFZFEjr1zCsicMWpAA";
constexpr std::string_view kAlive =
    R"({"active": true, "token_type": "Bearer", "sub": "ada", "note": "x"})";

struct Folder {
  Folder() { must(write_file(file("secret"), "app-secret", 0600)); }
  std::filesystem::path file(const char* name) const { return folder.path() / name; }
  IntrospectionConfig config(const std::string& issuer) const {
    IntrospectionConfig out;
    out.issuer = issuer;
    out.url = issuer + "/token/introspection";
    out.insecure_loopback = true;
    out.auth.client_id = "app";
    out.auth.secret_file = file("secret");
    out.timeout_ms = 60'000;
    return out;
  }
  TemporaryFolder folder;
};

std::unique_ptr<Introspector> open(const IntrospectionConfig& config) {
  return must(Introspector::open(config, {}));
}

// Threads on which questions are asked.
struct Asking {
  Asking() {
    for (int i = 0; i < 2; ++i) threads.emplace_back([this] { context.run(); });
  }
  ~Asking() {
    work.reset();
    for (auto& thread : threads) thread.join();
  }
  std::future<TokenResult<Introspected>> start(Introspector& introspector, IntrospectionCall call) {
    auto promise = std::make_shared<std::promise<TokenResult<Introspected>>>();
    asio::co_spawn(asio::make_strand(context), introspector.ask(std::move(call)),
                   [promise](const std::exception_ptr&, TokenResult<Introspected> result) {
                     promise->set_value(std::move(result));
                   });
    return promise->get_future();
  }
  TokenResult<Introspected> ask(Introspector& introspector, const std::string& token = kToken,
                                const std::string& client = "a") {
    return start(introspector, {.token = token, .token_id = "id-" + token, .client = client}).get();
  }
  std::string reason(Introspector& introspector, const std::string& client = "a") {
    const auto answer = ask(introspector, kToken, client);
    if (!answer) {
      CHECK_FALSE(answer.error().description.contains(kToken));
      CHECK(answer.error().retry_after_ms > 0);
      return std::string(answer.error().reason());
    }
    return answer->is_active ? "active" : "inactive";
  }

  asio::io_context context{2};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::vector<std::thread> threads;
};

// An endpoint that answers `body`, or nobody while `gate` is shut.
struct Endpoint {
  Endpoint()
      : host([this](const http::Request& request) -> asio::awaitable<http::Response> {
          ++requests;
          last = request.body;
          authorization = request.header("Authorization");
          while (is_shut) {
            asio::steady_timer timer(co_await asio::this_coro::executor,
                                     std::chrono::milliseconds(1));
            co_await timer.async_wait(asio::use_awaitable);
          }
          http::Response response;
          response.status = status;
          response.body = body;
          co_return response;
        }) {}
  std::string issuer() const { return fmt::format("http://127.0.0.1:{}", host.server->port()); }
  void wait_for(int count) const {
    while (requests < count) std::this_thread::yield();
  }

  std::atomic<bool> is_shut{false};
  std::atomic<int> requests{0};
  unsigned status = 200;
  std::string body{kAlive}, last, authorization;
  HttpHost host;
};

TEST_CASE("oidc-provider says of opaque tokens whose they are, until they are revoked") {
  const Folder folder;
  const DrivenProvider login(
      DrivenProvider::Kind::kOidcProvider,
      {.folder = folder.folder.path(), .more = {{"token_format", "opaque"}}});
  Asking asking;
  const auto introspector = open(folder.config(login.issuer()));
  const std::string token = login.login();
  const auto answer = asking.ask(*introspector, token);
  REQUIRE_MESSAGE(answer, answer.error().description);
  REQUIRE(answer->is_active);
  CHECK(answer->attributes.at("sub") == "ada");
  CHECK(answer->attributes.at("iss") == json::value(login.issuer()));
  CHECK(answer->attributes.at("aud") == "orders");
  CHECK(answer->attributes.at("scope") == "orders");
  CHECK(answer->attributes.at("token_type") == "Bearer");
  login.revoke(token);
  const auto revoked = asking.ask(*introspector, token);
  REQUIRE(revoked);
  CHECK_FALSE(revoked->is_active);
  // The service's own fault is no word about the token.
  must(write_file(folder.file("secret"), "another-secret", 0600));
  introspector->look();
  CHECK(asking.reason(*introspector) == "introspection_unavailable");
}

TEST_CASE("an endpoint that does not answer as it should gives no token") {
  const Folder folder;
  Endpoint endpoint;
  Asking asking;
  const auto introspector = open(folder.config(endpoint.issuer()));
  CHECK(asking.reason(*introspector) == "active");
  CHECK(endpoint.last == "token=" + kToken + "&token_type_hint=access_token");
  endpoint.body = R"({"active": false, "sub": "ada"})";
  CHECK(asking.reason(*introspector) == "inactive");
  for (const std::string& body :
       {std::string("{}"), std::string("[true]"), std::string(R"({"active": "yes"})"),
        std::string("<html>"), std::string(20'000, '['),
        R"({"active": true, "x": ")" + std::string(limits::kTxnIntrospectionBytesMax, 'x') + "\"}",
        R"({"active": true, "cnf": ")" + std::string(limits::kTxnIntrospectedBytesMax, 'x') +
            "\"}"}) {
    endpoint.body = body;
    CHECK_MESSAGE(asking.reason(*introspector) == "introspection_unavailable", body.substr(0, 40));
  }
  endpoint.body = kAlive;
  for (const unsigned status : {302U, 400U, 401U, 500U}) {
    endpoint.status = status;
    CHECK(asking.reason(*introspector) == "introspection_unavailable");
  }
  endpoint.status = 200;
  CHECK(asking.reason(*introspector) == "active");
  // Nobody listens.
  auto gone = folder.config("http://127.0.0.1:1");
  CHECK(asking.reason(*open(gone)) == "introspection_unavailable");
}

TEST_CASE("files are read when they may have changed; one that cannot be read changes nothing") {
  const Folder folder;
  Endpoint endpoint;
  Asking asking;
  const auto introspector = open(folder.config(endpoint.issuer()));
  CHECK(introspector->files() == std::vector<std::filesystem::path>{folder.file("secret")});
  const auto shows = [&](std::string_view secret) {
    introspector->look();
    CHECK(asking.reason(*introspector) == "active");
    return endpoint.authorization == oauth::basic_authorization("app", secret);
  };
  CHECK(shows("app-secret"));
  must(write_file(folder.file("secret"), "renewed", 0600));
  CHECK(shows("renewed"));
  std::filesystem::remove(folder.file("secret"));
  CHECK(shows("renewed"));
}

TEST_CASE("a question that is dropped with its executor may end after its introspector") {
  const Folder folder;
  Endpoint endpoint;
  endpoint.is_shut = true;
  auto introspector = open(folder.config(endpoint.issuer()));
  {
    asio::io_context context;
    asio::co_spawn(
        context, introspector->ask({.token = kToken, .token_id = "id", .client = "a"}),
        [](const std::exception_ptr&, const TokenResult<Introspected>&) { FAIL("was answered"); });
    while (endpoint.requests == 0) context.poll();
    introspector.reset();
  }
  endpoint.is_shut = false;
}

TEST_CASE("an endpoint that hangs is left, and takes no room of another") {
  const Folder folder;
  Endpoint slow, quick;
  slow.is_shut = true;
  Asking asking;
  auto config = folder.config(slow.issuer());
  config.at_once = 8;
  const auto slow_one = open(config);
  const auto quick_one = open(folder.config(quick.issuer()));
  std::vector<std::future<TokenResult<Introspected>>> waiting;
  const auto hang = [&](const std::string& client) {
    waiting.push_back(
        asking.start(*slow_one, {.token = kToken, .token_id = "id", .client = client}));
    slow.wait_for(static_cast<int>(waiting.size()));
  };
  // A client has a quarter: others are still asked about.
  hang("a");
  hang("a");
  CHECK(asking.reason(*slow_one, "a") == "busy");
  for (const char* client : {"b", "b", "c", "c", "d", "d"}) hang(client);
  // Full: refused at once, and not behind those that wait.
  CHECK(asking.reason(*slow_one, "e") == "introspection_busy");
  CHECK(slow.requests == 8);
  for (const char* client : {"a", "e"}) CHECK(asking.reason(*quick_one, client) == "active");
  slow.is_shut = false;
  for (auto& each : waiting) CHECK(each.get().value().is_active);
  CHECK(asking.reason(*slow_one, "a") == "active");

  // In time nothing came.
  slow.is_shut = true;
  config.timeout_ms = 100;
  const auto impatient = open(config);
  const auto late = asking.ask(*impatient);
  REQUIRE_FALSE(late);
  CHECK(late.error().reason() == "introspection_unavailable");
  CHECK(late.error().status() == 503);
  CHECK(late.error().description.contains("within 100 ms"));
  slow.is_shut = false;
  CHECK(asking.reason(*impatient) == "active");
}

TEST_CASE("answers are kept if that is configured, each for its own token") {
  const Folder folder;
  Endpoint endpoint;
  Asking asking;
  auto config = folder.config(endpoint.issuer());
  config.cache_ms = 60'000;
  const auto introspector = open(config);
  for (int i = 0; i < 3; ++i) CHECK(asking.reason(*introspector) == "active");
  CHECK(endpoint.requests == 1);
  endpoint.body = R"({"active": false})";
  CHECK_FALSE(asking.ask(*introspector, "another-token").value().is_active);
  CHECK_FALSE(asking.ask(*introspector, "another-token").value().is_active);
  CHECK(endpoint.requests == 2);
  CHECK(asking.reason(*introspector) == "active");
  // A failure is not kept.
  endpoint.status = 500;
  CHECK_FALSE(asking.ask(*introspector, "a-third-token"));
  endpoint.status = 200;
  CHECK(asking.ask(*introspector, "a-third-token"));
  CHECK(endpoint.requests == 4);
  // Without it each request asks.
  config.cache_ms = 0;
  const auto forgetful = open(config);
  for (int i = 0; i < 3; ++i) CHECK(asking.reason(*forgetful) == "inactive");
  CHECK(endpoint.requests == 7);
}

}  // namespace
}  // namespace notp::txn
