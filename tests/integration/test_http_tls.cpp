// HTTP over TLS: which certificate is presented, how it is verified, and the effects of a reload.
#include <future>

#include "tests/support/wire/http_host.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tests/support/wire/tls_client.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

const std::string kGet = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

// Answers with the caller's identity.
asio::awaitable<http::Response> who(const http::Request& request) {
  const auto& certificate = request.peer.certificate;
  if (!certificate) co_return http::text_response(200, "nobody;");
  http::Response response = http::text_response(
      certificate->good() ? 200 : 401,
      fmt::format("{} {};", certificate->good() ? "good" : certificate->error_code,
                  certificate->uris.empty() ? "-" : certificate->uris.front()));
  if (request.path == "/big") response.body = Bytes(3 << 20, 'x');
  if (certificate->good() && (certificate->serial.empty() || !certificate->error.empty()))
    response.status = 500;
  if (!certificate->good() && certificate->error.empty()) response.status = 500;
  co_return response;
}

struct TlsHost {
  explicit TlsHost(http::ClientCertificate wanted = http::ClientCertificate::kOptional)
      : endpoint(endpoint_with(pki.registry(), wanted)) {
    host.emplace(who, http::ServerOptions{}, endpoint);
  }

  http::TlsEndpoint endpoint_with(const transport::TlsFiles& own, http::ClientCertificate wanted) {
    return {.address = "127.0.0.1",
            .certificate = own.certificate,
            .private_key = own.private_key,
            .client_authorities = pki.authorities(),
            .client_certificate = wanted};
  }
  std::string ask(const TlsClient::Options& options) {
    TlsClient client(host->server->port(), options);
    if (!client.ok()) return "no handshake";
    return body_of(client.ask(kGet));
  }
  std::string ask(const transport::TlsFiles& identity) {
    TlsClient::Options options;
    options.identity = identity;
    return ask(options);
  }
  static std::string body_of(const std::string& answer) {
    return answer.substr(std::min(answer.size(), answer.find("\r\n\r\n") + 4));
  }

  TestPki pki;
  http::TlsEndpoint endpoint;
  std::optional<HttpHost> host;
};

}  // namespace

TEST_CASE("a certificate is judged, and a bad one gets an answer") {
  TlsHost host;
  const std::string uri = test_uri("node", "edge-1");
  CHECK(host.ask(host.pki.node("edge-1")) == "good " + uri + ";");
  CHECK(host.ask(TlsClient::Options{}) == "nobody;");

  auto leaf = host.pki.leaf("node", "edge-1");
  leaf.validity = {TestPki::wall_ms() - 7'200'000, TestPki::wall_ms() - 3'600'000};
  CHECK(host.ask(host.pki.issue(leaf)) == "certificate_expired " + uri + ";");
  leaf.validity = {TestPki::wall_ms() + 3'600'000, TestPki::wall_ms() + 7'200'000};
  CHECK(host.ask(host.pki.issue(leaf)) == "certificate_expired " + uri + ";");

  const auto stranger =
      must(pki::make_authority("other CA", pki::Validity::days(TestPki::wall_ms(), 30)));
  CHECK(host.ask(host.pki.issue(stranger, host.pki.leaf("node", "edge-1"))) ==
        "certificate_untrusted " + uri + ";");

  leaf = host.pki.leaf("node", "edge-1");
  leaf.client_auth = false;
  leaf.server_auth = true;
  CHECK(host.ask(host.pki.issue(leaf)) == "certificate_invalid " + uri + ";");
}

TEST_CASE("a certificate can be required, and need not be asked for") {
  TlsHost required(http::ClientCertificate::kRequired);
  CHECK(required.ask(required.pki.node("edge-1")).starts_with("good"));
  const std::string none = required.ask(TlsClient::Options{});
  CHECK((none == "no handshake" || none.empty()));  // TLS 1.3 tells a client at its first read
  TlsHost unasked(http::ClientCertificate::kNone);
  CHECK(unasked.ask(unasked.pki.node("edge-1")) == "nobody;");
}

TEST_CASE("TLS 1.2 and 1.3 with forward secrecy; nothing is resumed") {
  TlsHost host;
  const transport::TlsFiles identity = host.pki.node("edge-1");
  const auto ask = [&](TlsClient::Options options) {
    options.identity = identity;
    return host.ask(options);
  };
  CHECK(ask({.version = TLS1_2_VERSION}).starts_with("good"));
  CHECK(ask({.version = TLS1_3_VERSION}).starts_with("good"));
  CHECK(ask({.version = TLS1_1_VERSION}) == "no handshake");
  for (const char* group : {"ffdhe8192", "P-384"})
    CHECK(ask({.version = TLS1_3_VERSION, .groups = group}) == "no handshake");
  for (const char* group : {"X25519", "P-256"})
    CHECK(ask({.version = TLS1_3_VERSION, .groups = group}).starts_with("good"));
  CHECK(ask({.alpn = std::string("\x02h2\x08http/1.1")}).starts_with("good"));
  CHECK(ask({.alpn = std::string("\x02h2")}) == "no handshake");
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient first(host.host->server->port(), {.identity = identity, .version = version});
    REQUIRE(first.ask(kGet).contains("good"));
    TlsClient second(
        host.host->server->port(),
        {.identity = identity, .version = version, .resume = SSL_get1_session(first.ssl())});
    CHECK(second.ask(kGet).contains("good"));
    CHECK(SSL_session_reused(second.ssl()) == 0);
  }
}

TEST_CASE("large bodies over TLS, and many requests on one connection") {
  TlsHost host;
  TlsClient client(host.host->server->port(), {.identity = host.pki.node("edge-1")});
  CHECK(client.ask("GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n").size() > 3 << 20);
  const std::string post = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n" +
                           Bytes(2'000'000, 'x');
  CHECK(client.ask(post).contains("good"));
  CHECK(client.ask(kGet).contains("good"));
}

TEST_CASE("a reload shows a new certificate, and judges open connections by the new authorities") {
  TlsHost host;
  http::Server& server = *host.host->server;
  TlsClient open(server.port(), {.identity = host.pki.node("edge-1")});
  CHECK(open.ask(kGet).contains("good"));
  CHECK(server.reload(host.endpoint) == false);

  http::TlsEndpoint broken = host.endpoint;
  broken.private_key = host.pki.registry().private_key;
  CHECK(server.reload(broken).error().code == ErrorCode::kConfig);
  CHECK(open.ask(kGet).contains("good"));

  const transport::TlsFiles fresh = host.pki.registry();
  CHECK(server.reload(host.endpoint_with(fresh, http::ClientCertificate::kOptional)) == true);
  CHECK(open.ask(kGet).contains("good"));

  const auto other =
      must(pki::make_authority("new CA", pki::Validity::days(TestPki::wall_ms(), 30)));
  must(write_file(host.pki.authorities(), other.certificate_pem));
  CHECK(server.reload(host.endpoint_with(fresh, http::ClientCertificate::kOptional)) == true);
  CHECK(open.ask(kGet).contains("certificate_untrusted"));
  CHECK(host.ask(host.pki.issue(other, host.pki.leaf("node", "edge-2"))).starts_with("good"));
}

TEST_CASE("a certificate that ends while its connection is open is refused from then on") {
  TlsHost host;
  auto leaf = host.pki.leaf("node", "edge-1");
  leaf.validity = {TestPki::wall_ms() - 3'600'000, TestPki::wall_ms() + 3'000};
  TlsClient open(host.host->server->port(), {.identity = host.pki.issue(leaf)});
  std::string answer = open.ask(kGet);
  const bool was_good = answer.contains("good");
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (answer.contains("good") && std::chrono::steady_clock::now() < patience)
    answer = open.ask(kGet);
  // On a slow machine it may have expired before its first request.
  CHECK((was_good || TestPki::wall_ms() > leaf.validity.not_after_ms));
  CHECK(answer.contains("certificate_expired"));
}

TEST_CASE("silent and endless handshakes keep nobody out") {
  TlsHost host;
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 200; ++i) {
    silent.push_back(std::make_unique<RawClient>(*host.host));
    if (i % 2 == 0) silent.back()->try_send("\x16\x03\x01\x02\x00\x01");
  }
  CHECK(host.ask(host.pki.node("edge-1")).starts_with("good"));
  silent.back()->send("GET / HTTP/1.1\r\n\r\n");
  CHECK_FALSE(silent.back()->rest().contains("HTTP/1.1 200"));
  host.host->server->set_options({.handshake_ms = 20});
  RawClient late(*host.host);
  CHECK(late.rest().empty());
}

}  // namespace notp
