// Real mutual TLS over loopback: accepted peers, and the errors of refused ones.
#include <doctest/doctest.h>

#include <thread>

#include "common/crypto/digest.hpp"
#include "common/limits.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/wire/raw_tls_client.hpp"
#include "tests/support/wire/tls_ends.hpp"

using namespace notp;

namespace {

struct Meeting {
  Ended server, client;
};

Meeting meet(ContextPtr server, ContextPtr client) {
  Loop loop;
  Meeting meeting;
  auto acceptor = must(transport::listen(loop.io.get_executor(), "127.0.0.1:0"));
  loop.spawn(serve_one(acceptor, std::move(server), meeting.server));
  loop.spawn(call_one(address_of(acceptor), std::move(client), meeting.client));
  loop.run();
  return meeting;
}

// The code that a client gets from its first read: a TLS alert, or an Error frame.
ErrorCode told_to_client(const Ended& client) {
  if (client.error) return client.error->code;
  if (client.read_error) return client.read_error->code;
  wire::FrameParser parser;
  parser.feed(client.received);
  auto message = parser.next();
  if (!message || !*message) return ErrorCode{};
  const auto* error = std::get_if<wire::ErrorMessage>(&**message);
  return error == nullptr ? ErrorCode{} : error->code;
}

Ended meet_foreign(const ContextPtr& server, const RawTlsClient& client) {
  Loop loop;
  Ended ended;
  auto acceptor = must(transport::listen(loop.io.get_executor(), "127.0.0.1:0"));
  loop.spawn(serve_one(acceptor, server, ended));
  const uint16_t port = acceptor.local_endpoint().port();
  std::jthread thread([&client, port] { client.run(port); });
  loop.run();
  return ended;
}

}  // namespace

TEST_CASE("both sides see each other's identity") {
  TestPki pki;
  const auto meeting = meet(context(pki.registry(), transport::Side::kServer),
                            context(pki.node("edge-17"), transport::Side::kClient));
  CHECK_FALSE(meeting.server.error);
  CHECK_FALSE(meeting.client.error);
  CHECK(meeting.server.identity == test_uri("node", "edge-17"));
  CHECK(meeting.client.identity == test_uri("registry", "main"));
  CHECK(meeting.client.received == "welcome");
}

TEST_CASE("Ed25519 certificates work as well") {
  TestPki pki;
  auto leaf = pki.leaf("publisher", "ci");
  leaf.key = pki::KeyType::kEd25519;
  const auto meeting = meet(context(pki.registry(), transport::Side::kServer),
                            context(pki.issue(leaf), transport::Side::kClient));
  CHECK(meeting.server.identity == test_uri("publisher", "ci"));
}

TEST_CASE("a client that is not let in is told why, each fault by its own code") {
  struct Row {
    const char* name;
    std::function<void(pki::LeafOptions&)> bend;
    ErrorCode code;
  };
  constexpr TimeMs kDayMs = 86'400'000;
  const TimeMs now = TestPki::wall_ms();
  const Row rows[] = {
      {"expired", [&](auto& o) { o.validity = {now - 2 * kDayMs, now - 1000}; },
       ErrorCode::kCertificateExpired},
      {"server-auth only",
       [](auto& o) {
         o.server_auth = true;
         o.client_auth = false;
       },
       ErrorCode::kCertificateUntrusted},
      {"no extended key usage", [](auto& o) { o.client_auth = false; },
       ErrorCode::kCertificateUntrusted},
      {"two URIs", [](auto& o) { o.uris.push_back(test_uri("node", "edge-18")); },
       ErrorCode::kIdentity},
      {"no URI", [](auto& o) { o.uris.clear(); }, ErrorCode::kIdentity},
      {"NUL in the URI", [](auto& o) { o.uris = {test_uri("node", std::string("edge\0-17", 8))}; },
       ErrorCode::kIdentity},
      {"another scheme", [](auto& o) { o.uris = {"https://core-platform.internal/node/a"}; },
       ErrorCode::kIdentity},
      {"an unknown role", [](auto& o) { o.uris = {test_uri("king", "a")}; }, ErrorCode::kIdentity},
      {"a path behind the name", [](auto& o) { o.uris = {test_uri("node", "a/b")}; },
       ErrorCode::kIdentity},
      {"a name of two dots", [](auto& o) { o.uris = {test_uri("node", "..")}; },
       ErrorCode::kIdentity},
      {"another trust domain", [](auto& o) { o.uris = {test_uri("node", "a", "evil.internal")}; },
       ErrorCode::kIdentity},
      {"a CA as a leaf", [](auto& o) { o.is_ca = true; }, ErrorCode::kIdentity},
  };
  TestPki pki;
  const auto server = context(pki.registry(), transport::Side::kServer);
  for (const Row& row : rows) {
    CAPTURE(row.name);
    auto leaf = pki.leaf("node", "edge-17");
    row.bend(leaf);
    const auto meeting = meet(server, context(pki.issue(leaf), transport::Side::kClient));
    CHECK(meeting.server.code() == row.code);
    CHECK(told_to_client(meeting.client) == row.code);
  }
}

TEST_CASE("a certificate of the future is refused") {
  // TLS has no alert for it: the client gets "bad certificate", the server's log has the reason.
  TestPki pki;
  auto leaf = pki.leaf("node", "edge-17");
  leaf.validity.not_before_ms = TestPki::wall_ms() + 86'400'000;
  const auto meeting = meet(context(pki.registry(), transport::Side::kServer),
                            context(pki.issue(leaf), transport::Side::kClient));
  CHECK(meeting.server.code() == ErrorCode::kCertificateExpired);
  CHECK(told_to_client(meeting.client) == ErrorCode::kCertificateUntrusted);
}

TEST_CASE("a client of another CA is refused by code on both sides") {
  TestPki pki, other;
  auto files = other.node("edge-17");
  files.authorities = pki.authorities();
  const auto meeting = meet(context(pki.registry(), transport::Side::kServer),
                            context(files, transport::Side::kClient));
  CHECK(meeting.server.code() == ErrorCode::kCertificateUntrusted);
  CHECK(told_to_client(meeting.client) == ErrorCode::kCertificateUntrusted);
}

TEST_CASE("a short chain of intermediates is accepted, a long one refused") {
  TestPki pki;
  const auto server = context(pki.registry(), transport::Side::kServer);
  auto middle = pki.leaf("node", "intermediate");
  middle.is_ca = true;
  middle.client_auth = false;
  middle.uris.clear();
  pki::Credential issuer = pki.authority();
  for (int depth = 1; depth <= 50; ++depth) {
    issuer = must(pki::issue(issuer, middle));
    if (depth != 2 && depth != 50) continue;
    CAPTURE(depth);
    const auto files = pki.issue(issuer, pki.leaf("node", "edge-17"));
    const auto meeting = meet(server, context(files, transport::Side::kClient));
    CHECK(meeting.server.code() == (depth == 2 ? ErrorCode{} : ErrorCode::kCertificateUntrusted));
  }
}

TEST_CASE("a server that is none is refused by the client") {
  TestPki pki, other;
  const auto client = context(pki.node("edge-17"), transport::Side::kClient);
  const auto refused_by_client = [&](const transport::TlsFiles& files) {
    return meet(context(files, transport::Side::kServer), client).client.code();
  };
  auto foreign = other.registry();
  foreign.authorities = pki.authorities();
  CHECK(refused_by_client(foreign) == ErrorCode::kCertificateUntrusted);

  auto client_only = pki.leaf("registry", "main");
  client_only.server_auth = false;
  client_only.client_auth = true;
  CHECK(refused_by_client(pki.issue(client_only)) == ErrorCode::kCertificateUntrusted);

  auto node = pki.leaf("node", "edge-18");
  node.server_auth = true;
  CHECK(refused_by_client(pki.issue(node)) == ErrorCode::kIdentity);
}

TEST_CASE("clients without certificate, TLS 1.3 or ALPN are refused") {
  TestPki pki;
  const auto server = context(pki.registry(), transport::Side::kServer);
  const transport::TlsFiles node = pki.node("edge-17");
  CHECK(meet_foreign(server, {.credential = node}).code() == ErrorCode{});
  CHECK(meet_foreign(server, {}).code() == ErrorCode::kNoCertificate);
  CHECK(meet_foreign(server, {.version = TLS1_2_VERSION, .credential = node}).code() ==
        ErrorCode::kTls);
  CHECK(meet_foreign(server, {.alpn = false, .credential = node}).code() == ErrorCode::kTls);
}

TEST_CASE("reloaded certificates serve new connections, and a bad file changes nothing") {
  TestPki pki;
  const auto issue = [&](const char* name) {
    return pki.write(must(pki::issue(pki.authority(), pki.leaf("registry", name))), "server");
  };
  const auto client = context(pki.node("edge-17"), transport::Side::kClient);
  const auto files = issue("first");
  const auto source = must(transport::TlsSource::open(files, transport::Side::kServer));
  CHECK(meet(source->current(), client).client.identity == test_uri("registry", "first"));

  issue("second");
  CHECK(meet(source->current(), client).client.identity == test_uri("registry", "first"));
  must(source->reload());
  CHECK(meet(source->current(), client).client.identity == test_uri("registry", "second"));

  must(write_file(files.private_key, "not a key"));
  const auto reloaded = source->reload();
  REQUIRE_FALSE(reloaded);
  CHECK(reloaded.error().code == ErrorCode::kConfig);
  CHECK(meet(source->current(), client).client.identity == test_uri("registry", "second"));
}

TEST_CASE("files that cannot work are refused when they are loaded") {
  TestPki pki;
  const auto code = [](const transport::TlsFiles& files) {
    const auto loaded = transport::TlsContext::load(files, transport::Side::kServer);
    return loaded ? ErrorCode{} : loaded.error().code;
  };
  const auto files = pki.registry();
  CHECK(code(files) == ErrorCode{});
  auto missing = files;
  missing.certificate = "/nonexistent/certificate.pem";
  CHECK(code(missing) == ErrorCode::kConfig);
  auto foreign_key = files;
  foreign_key.private_key = pki.node("edge-17").private_key;
  CHECK(code(foreign_key) == ErrorCode::kConfig);
  auto leaf_as_authority = files;
  leaf_as_authority.authorities = files.certificate;
  CHECK(code(leaf_as_authority) == ErrorCode::kConfig);
}

TEST_CASE("a context knows its own identity and end") {
  TestPki pki;
  const auto own = context(pki.node("edge-17"), transport::Side::kClient);
  REQUIRE(own->identity());
  CHECK(own->identity()->text() == test_uri("node", "edge-17"));
  CHECK(own->not_after_ms() > TestPki::wall_ms());
}

namespace {

asio::awaitable<void> shake_with_silence(tcp::acceptor& acceptor, ContextPtr tls, Ended& ended) {
  transport::Connection connection(
      must(co_await transport::accept(acceptor, acceptor.get_executor())), std::move(tls));
  auto shaken = co_await connection.handshake(20);
  if (!shaken) ended.error = shaken.error();
}

asio::awaitable<void> accept_in_silence(tcp::acceptor& acceptor, tcp::socket& held) {
  held = must(co_await transport::accept(acceptor, acceptor.get_executor()));
}

asio::awaitable<void> call_silence(std::string address, ContextPtr tls, Ended& ended) {
  auto connection = co_await transport::connect(address, std::move(tls), 20);
  if (!connection) ended.error = connection.error();
}

}  // namespace

TEST_CASE("a handshake that does not go on ends at its deadline, on either side") {
  TestPki pki;
  Loop loop;
  auto acceptor = must(transport::listen(loop.io.get_executor(), "127.0.0.1:0"));
  tcp::socket silent(loop.io);
  silent.connect(acceptor.local_endpoint());
  Ended server;
  loop.spawn(
      shake_with_silence(acceptor, context(pki.registry(), transport::Side::kServer), server));
  loop.run();
  CHECK(server.code() == ErrorCode::kTimeout);

  Ended client;
  tcp::socket held(loop.io);
  loop.spawn(accept_in_silence(acceptor, held));
  loop.spawn(
      call_silence(address_of(acceptor), context(pki.node("a"), transport::Side::kClient), client));
  loop.run();
  CHECK(client.code() == ErrorCode::kTimeout);
}

TEST_CASE("connecting to where nothing listens is unavailable") {
  TestPki pki;
  Loop loop;
  std::string address;
  {
    auto acceptor = must(transport::listen(loop.io.get_executor(), "127.0.0.1:0"));
    address = address_of(acceptor);
  }
  Ended client;
  loop.spawn(call_one(address, context(pki.node("a"), transport::Side::kClient), client));
  loop.run();
  CHECK(client.code() == ErrorCode::kUnavailable);
}

TEST_CASE("addresses") {
  CHECK(must(HostPort::parse("[::1]:7420")).host == "::1");
  CHECK(must(HostPort::parse("registry.internal:7420")).port == 7420);
  for (const char* bad : {"", "host", "host:", ":1", "host:70000", "host:1x", "::1:7420", "[::1]",
                          "[host]:1", "host:-1"}) {
    CAPTURE(bad);
    CHECK_FALSE(HostPort::parse(bad));
  }
  // A host is written into a proxy's request line, and may come from a join token.
  for (const std::string& bad :
       {std::string("a b"), std::string("a\r\nX: y"), std::string("a\0b", 3),
        std::string("caf\u00e9"), std::string("a/b"), std::string("user@a"),
        std::string(kHostBytesMax + 1, 'a')}) {
    CAPTURE(bad);
    CHECK_FALSE(HostPort::parse(bad + ":1"));
  }
  CHECK(HostPort::parse(std::string(kHostBytesMax, 'a') + ":1"));
}

TEST_CASE("large transfers in both directions at once") {
  ConnectedPair pair;
  Bytes up(24 << 20, '\0'), down(16 << 20, '\0');
  for (size_t i = 0; i < up.size(); ++i) up[i] = static_cast<char>(i * 31 >> 3);
  for (size_t i = 0; i < down.size(); ++i) down[i] = static_cast<char>(i * 17 >> 2);
  Bytes at_server, at_client;
  pair.loop.spawn(write_all(*pair.client, up));
  pair.loop.spawn(write_all(*pair.server, down));
  pair.loop.spawn(read_all(*pair.server, at_server));
  pair.loop.spawn(read_all(*pair.client, at_client));
  pair.loop.run();
  CHECK(sha256(at_server) == sha256(up));
  CHECK(sha256(at_client) == sha256(down));
  CHECK(pair.client->bytes_sent() == pair.server->bytes_received());
}

namespace {

asio::awaitable<void> write_parts(transport::Connection& connection, ByteView head, ByteView body) {
  must(co_await connection.write(head, body));
}

}  // namespace

TEST_CASE("a header and the bytes behind it share TLS records") {
  ConnectedPair pair;
  constexpr uint64_t kRecordOverhead = 22;
  const uint64_t before = pair.client->bytes_sent();
  const Bytes small(100, 'b');
  pair.loop.spawn(write_parts(*pair.client, "header", small));
  pair.loop.run();
  CHECK(pair.client->bytes_sent() - before == 106 + kRecordOverhead);

  const uint64_t middle = pair.client->bytes_sent();
  const Bytes body(40'000, 'b');
  pair.loop.spawn(write_parts(*pair.client, "header", body));
  pair.loop.run();
  CHECK(pair.client->bytes_sent() - middle == 40'006 + 3 * kRecordOverhead);
}
