// The HTTP client against the project's servers, and against malformed answers.
#include "common/http/client.hpp"
#include "tests/support/wire/fake_proxy.hpp"
#include "tests/support/wire/http_host.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

constexpr const char* kName = "keys.site.internal";  // no name server knows it

// Echoes the request, under some special paths.
asio::awaitable<http::Response> answer(const http::Request& request) {
  http::Response response = http::text_response(
      200, fmt::format("{} {} {} {}", request.method, request.path, request.body.size(),
                       request.peer.certificate && request.peer.certificate->good()
                           ? request.peer.certificate->uris.front()
                           : "-"));
  if (request.path == "/moved") {
    response.status = 302;
    response.headers.emplace_back("Location", "/elsewhere");
  }
  if (request.path == "/big") response.body = Bytes(3 << 20, 'x');
  if (request.path == "/wide") response.headers.emplace_back("X-Wide", std::string(20'000, 'w'));
  if (request.path == "/slow") {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::seconds(30));
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return response;
}

// A server with a certificate for `localhost`, `kName` and optionally 127.0.0.1.
struct Site {
  explicit Site(http::ClientCertificate wanted = http::ClientCertificate::kOptional,
                bool with_address = false) {
    auto leaf = pki.leaf("registry", "main");
    leaf.dns_names = {"localhost", kName};
    if (with_address) leaf.addresses = {"127.0.0.1"};
    serve(leaf, wanted);
  }
  void serve(const pki::LeafOptions& leaf, http::ClientCertificate wanted) {
    const transport::TlsFiles own = pki.issue(leaf);
    host.emplace(answer, http::ServerOptions{.hosts = {kName}, .body_bytes_max = 1 << 20},
                 http::TlsEndpoint{.address = "127.0.0.1",
                                   .certificate = own.certificate,
                                   .private_key = own.private_key,
                                   .client_authorities = pki.authorities(),
                                   .client_certificate = wanted});
  }
  int port() const { return host->server->port(); }
  std::string url(std::string_view path, std::string_view name = "localhost") const {
    return fmt::format("https://{}:{}{}", name, port(), path);
  }
  http::ClientOptions trusting() const {
    http::ClientOptions options;
    options.tls.authorities = pki.authorities();
    return options;
  }

  TestPki pki;
  std::optional<HttpHost> host;
};

http::Client client(http::ClientOptions options) {
  return must(http::Client::open(std::move(options)));
}

ErrorCode code(const Result<http::Response>& response) {
  REQUIRE_FALSE(response);
  return response.error().code;
}

// Forwards until this many bytes have passed, or either end has closed.
void forward(FakeProxy::Socket& from, FakeProxy::Socket& to, size_t bytes_max) {
  std::array<char, 4096> buffer;
  boost::system::error_code ended;
  for (size_t passed = 0; !ended && passed < bytes_max;) {
    const size_t got = from.read_some(asio::buffer(buffer), ended);
    if (!ended) passed += asio::write(to, asio::buffer(buffer.data(), got), ended);
  }
}

// The result of a plain call for those bytes, after which the connection is closed.
Result<http::Response> call_to(const std::string& bytes, http::Call call = {}) {
  const FakeProxy server(FakeProxy::closes_after(bytes));
  call.url = server.url() + "/";
  return http::call_blocking(std::move(call));
}

}  // namespace

TEST_CASE("a server is asked by a name and by an address that its certificate has") {
  const Site site(http::ClientCertificate::kOptional, true);
  const http::Client asks = client(site.trusting());
  const auto answered = must(
      asks.call_blocking({.method = "POST", .url = site.url("/keys?a=b"), .body = "twelve bytes"}));
  CHECK(answered.status == 200);
  CHECK(answered.body == "POST /keys 12 -");
  CHECK(must(asks.call_blocking({.url = site.url("/x", "127.0.0.1")})).body == "GET /x 0 -");
  CHECK(must(asks.call_blocking({.method = "HEAD", .url = site.url("/big")})).body.empty());
  CHECK(must(asks.call_blocking({.url = site.url("/big")})).body.size() == 3 << 20);
}

TEST_CASE("a server of another CA, of another name, or whose certificate has ended is refused") {
  Site site;
  const TestPki other;
  http::ClientOptions wrong = site.trusting();
  wrong.tls.authorities = other.authorities();
  CHECK(code(client(wrong).call_blocking({.url = site.url("/")})) ==
        ErrorCode::kCertificateUntrusted);
  // The certificate does not name an address.
  const auto refused = client(site.trusting()).call_blocking({.url = site.url("/", "127.0.0.1")});
  CHECK(code(refused) == ErrorCode::kCertificateUntrusted);
  CHECK(refused.error().message.contains("127.0.0.1"));
  // It is unknown to the system's authorities, too.
  CHECK(code(client({}).call_blocking({.url = site.url("/")})) == ErrorCode::kCertificateUntrusted);

  auto leaf = site.pki.leaf("registry", "main");
  leaf.dns_names = {"localhost"};
  leaf.validity = {TestPki::wall_ms() - 7'200'000, TestPki::wall_ms() - 3'600'000};
  site.serve(leaf, http::ClientCertificate::kNone);
  CHECK(code(client(site.trusting()).call_blocking({.url = site.url("/")})) ==
        ErrorCode::kCertificateExpired);
  // A client's certificate is not valid for a server.
  leaf = site.pki.leaf("node", "edge-1");
  leaf.dns_names = {"localhost"};
  site.serve(leaf, http::ClientCertificate::kNone);
  CHECK(code(client(site.trusting()).call_blocking({.url = site.url("/")})) ==
        ErrorCode::kCertificateUntrusted);
}

TEST_CASE("a client certificate is shown where there is one, and missed where it is required") {
  Site site(http::ClientCertificate::kRequired);
  CHECK(code(client(site.trusting()).call_blocking({.url = site.url("/")})) ==
        ErrorCode::kNoCertificate);
  const transport::TlsFiles own = site.pki.node("edge-1");
  http::ClientOptions options = site.trusting();
  options.tls.certificate = own.certificate;
  options.tls.private_key = own.private_key;
  CHECK(must(client(options).call_blocking({.url = site.url("/who")})).body ==
        "GET /who 0 " + test_uri("node", "edge-1"));
}

TEST_CASE("files that cannot be used are named before the first call") {
  const TestPki pki;
  http::ClientOptions options;
  options.tls.authorities = "/nowhere/ca.pem";
  const auto missing = http::Client::open(options);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message.contains("/nowhere/ca.pem"));
  options.tls.authorities = pki.authorities();
  options.tls.certificate = pki.authorities();
  options.tls.private_key = "/nowhere/key.pem";
  CHECK_FALSE(http::Client::open(options));
}

TEST_CASE("a proxy resolves the name, by configuration and by variable") {
  const Site site;
  const FakeProxy proxy(FakeProxy::tunnels_to(site.port()));
  http::ClientOptions options = site.trusting();
  options.proxy.url = proxy.url();
  const std::string url = site.url("/keys", kName);
  CHECK(must(client(options).call_blocking({.url = url})).body == "GET /keys 0 -");
  REQUIRE(proxy.requests().size() == 1);
  CHECK(proxy.requests().front().starts_with(fmt::format("CONNECT {}:{} ", kName, site.port())));

  options.proxy = {};
  options.environment = {{"HTTPS_PROXY", proxy.url()}};
  CHECK(must(client(options).call_blocking({.url = url})).status == 200);
  options.environment["NO_PROXY"] = kName;
  CHECK(code(client(options).call_blocking({.url = url})) == ErrorCode::kUnavailable);
  CHECK(proxy.requests().size() == 2);
  // A name that differs from the certificate's is refused through a proxy as well.
  options = site.trusting();
  options.proxy.url = proxy.url();
  CHECK(code(client(options).call_blocking({.url = site.url("/", "other.site.internal")})) ==
        ErrorCode::kCertificateUntrusted);

  const FakeProxy refuses(FakeProxy::answers("HTTP/1.1 403 Forbidden\r\n\r\n"));
  options.proxy.url = refuses.url();
  const auto refused = client(options).call_blocking({.url = url});
  CHECK(code(refused) == ErrorCode::kUnavailable);
  CHECK(refused.error().message.contains("403"));
}

TEST_CASE("http:// goes through a proxy of the configuration, and by no variable") {
  const HttpHost plain(answer);
  const FakeProxy proxy(FakeProxy::tunnels_to(plain.server->port()));
  http::ClientOptions options;
  options.proxy.url = proxy.url();
  const std::string url = fmt::format("http://localhost:{}/plain", plain.server->port());
  CHECK(must(client(options).call_blocking({.url = url})).body == "GET /plain 0 -");
  CHECK(proxy.requests().size() == 1);
  options.proxy = {};
  options.environment = {{"HTTPS_PROXY", proxy.url()}};
  CHECK(must(client(options).call_blocking({.url = url})).status == 200);
  CHECK(proxy.requests().size() == 1);
}

TEST_CASE("redirects are answers") {
  const Site site;
  const auto moved = must(client(site.trusting()).call_blocking({.url = site.url("/moved")}));
  CHECK(moved.status == 302);
  CHECK(http::find_header(moved.headers, "location") == "/elsewhere");
}

TEST_CASE("whatever is slow ends at the deadline") {
  const Site site;
  CHECK(
      code(client(site.trusting()).call_blocking({.url = site.url("/slow"), .deadline_ms = 200})) ==
      ErrorCode::kTimeout);
  // Sends no byte of a handshake.
  const FakeProxy silent([](FakeProxy::Socket&, const std::string&) {});
  std::string url = silent.url();
  url.replace(0, 7, "https://");
  CHECK(code(client(site.trusting()).call_blocking({.url = url, .deadline_ms = 200})) ==
        ErrorCode::kTimeout);
  // A slow server: a byte every 20 ms, until the client closes.
  const FakeProxy drips([](FakeProxy::Socket& socket, const std::string&) {
    boost::system::error_code error;
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    asio::write(socket, asio::buffer(head), error);
    while (!error) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      asio::write(socket, asio::buffer("x", 1), error);
    }
  });
  CHECK(code(http::call_blocking({.url = drips.url() + "/", .deadline_ms = 300})) ==
        ErrorCode::kTimeout);
}

TEST_CASE("a call that is cancelled ends at once") {
  const Site site;
  const http::Client asks = client(site.trusting());
  asio::io_context context;
  asio::cancellation_signal cancel;
  std::optional<Result<http::Response>> outcome;
  bool has_thrown = false;
  asio::co_spawn(context, asks.call({.url = site.url("/slow"), .deadline_ms = 20'000}),
                 asio::bind_cancellation_slot(cancel.slot(), [&](const std::exception_ptr& thrown,
                                                                 Result<http::Response> response) {
                   has_thrown = thrown != nullptr;
                   outcome = std::move(response);
                 }));
  asio::steady_timer timer(context, std::chrono::milliseconds(300));
  timer.async_wait(
      [&](const boost::system::error_code&) { cancel.emit(asio::cancellation_type::terminal); });
  context.run();
  CHECK_FALSE(has_thrown);
  REQUIRE(outcome);
  CHECK(code(*outcome) == ErrorCode::kUnavailable);
}

TEST_CASE("whatever is larger than allowed ends the call") {
  const Site site;
  const http::Client asks = client(site.trusting());
  CHECK(code(asks.call_blocking({.url = site.url("/big"), .answer_bytes_max = 1 << 20})) ==
        ErrorCode::kLimit);
  CHECK(code(asks.call_blocking({.url = site.url("/wide")})) == ErrorCode::kLimit);
  CHECK(must(asks.call_blocking({.url = site.url("/wide"), .head_bytes_max = 64 << 10})).status ==
        200);

  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunk = "400\r\n" + std::string(0x400, 'x') + "\r\n";
  CHECK(must(call_to(chunked + chunk + "0\r\n\r\n")).body.size() == 0x400);
  CHECK(code(call_to(chunked + chunk + chunk + "0\r\n\r\n", {.answer_bytes_max = 0x500})) ==
        ErrorCode::kLimit);
  CHECK(code(call_to(chunked + "400;" + std::string(100'000, 'e'))) == ErrorCode::kLimit);
  CHECK(code(call_to("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'h'))) == ErrorCode::kLimit);
}

TEST_CASE("what is cut or is not HTTP is no answer") {
  CHECK(code(call_to("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")) ==
        ErrorCode::kUnavailable);
  CHECK(code(call_to("HTTP/1.1 200")) == ErrorCode::kUnavailable);
  CHECK(code(call_to("")) == ErrorCode::kUnavailable);
  CHECK(code(call_to("SSH-2.0-OpenSSH_9.2\r\n\r\n")) == ErrorCode::kMessage);
  CHECK(must(call_to("HTTP/1.1 200 OK\r\n\r\nuntil the end")).body == "until the end");
  CHECK(must(call_to("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"))
            .status == 204);
  std::string interim;
  for (int i = 0; i < 10; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  CHECK(code(call_to(interim)) == ErrorCode::kMessage);

  // TLS that ends in the middle of an answer.
  const Site site;
  const FakeProxy cuts([&](FakeProxy::Socket& socket, const std::string&) {
    FakeProxy::Socket target(socket.get_executor());
    boost::system::error_code error;
    target.connect({asio::ip::address_v4::loopback(), static_cast<uint16_t>(site.port())}, error);
    asio::write(socket, asio::buffer("HTTP/1.1 200 OK\r\n\r\n", 19), error);
    std::thread there([&] { forward(socket, target, SIZE_MAX); });
    forward(target, socket, 100'000);
    ::shutdown(socket.native_handle(), SHUT_RDWR);
    ::shutdown(target.native_handle(), SHUT_RDWR);
    there.join();
  });
  http::ClientOptions options = site.trusting();
  options.proxy.url = cuts.url();
  CHECK(code(client(options).call_blocking({.url = site.url("/big", kName)})) ==
        ErrorCode::kUnavailable);
  // A plain server where TLS is expected.
  const HttpHost plain(answer);
  CHECK(code(client(site.trusting())
                 .call_blocking({.url = fmt::format("https://localhost:{}/",
                                                    plain.server->port())})) == ErrorCode::kTls);
}

TEST_CASE("a refusal is heard though the server does not read the whole request") {
  const Site site;
  const auto refused = must(client(site.trusting())
                                .call_blocking({.method = "POST",
                                                .url = site.url("/"),
                                                .body = Bytes(8 << 20, 'x'),
                                                .deadline_ms = 20'000}));
  CHECK(refused.status == 413);
}

TEST_CASE("what cannot be sent is refused before anything is") {
  const auto usage = [](http::Call call) {
    return http::call_blocking(std::move(call)).error().code == ErrorCode::kUsage;
  };
  CHECK(usage({.url = "https://localhost:1/"}));  // this client has no TLS
  CHECK(usage({.method = "GET /x HTTP/1.1\r\nX:", .url = "http://127.0.0.1:1/"}));
  CHECK(usage({.url = "http://127.0.0.1:1/", .headers = {{"X", "a\r\nY: b"}}}));
  CHECK(usage({.url = "http://127.0.0.1:1/", .headers = {{"X y", "a"}}}));
}

}  // namespace notp
