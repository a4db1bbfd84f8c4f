// Peers of open connections when certificates change, and the handshake of a joining node.
#include <doctest/doctest.h>

#include "common/crypto/certificate.hpp"
#include "common/limits.hpp"
#include "notp-client/identity/certificate_rotator.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/wire/tls_ends.hpp"

using namespace notp;

namespace {

constexpr TimeMs kDayMs = 86'400'000;

ErrorCode code_of(const Result<void>& result) { return result ? ErrorCode{} : result.error().code; }

// A context of `files` with other authorities.
ContextPtr with_authorities(transport::TlsFiles files, const TestPki& pki, const Bytes& authorities,
                            transport::Side side) {
  files.authorities = pki.authorities().string() + ".other";
  must(write_file(files.authorities, authorities));
  return context(files, side);
}

}  // namespace

TEST_CASE("a peer is verified again by other authorities, on either side") {
  TestPki pki;
  const auto other =
      must(pki::make_authority("other", pki::Validity::days(TestPki::wall_ms(), 30)));
  const auto registry = pki.registry(), node = pki.node("edge-1");
  ConnectedPair pair(context(registry, transport::Side::kServer),
                     context(node, transport::Side::kClient));
  const Bytes both = pki.authority().certificate_pem + other.certificate_pem;
  const auto again = [&](const Bytes& authorities) {
    const auto at_server = pair.server->verify_peer_again(
        *with_authorities(registry, pki, authorities, transport::Side::kServer));
    const auto at_client = pair.client->verify_peer_again(
        *with_authorities(node, pki, authorities, transport::Side::kClient));
    CHECK(code_of(at_server) == code_of(at_client));
    return code_of(at_server);
  };
  CHECK(again(pki.authority().certificate_pem) == ErrorCode{});
  CHECK(again(both) == ErrorCode{});
  CHECK(again(other.certificate_pem) == ErrorCode::kCertificateUntrusted);
  CHECK(again(pki.authority().certificate_pem) == ErrorCode{});
}

TEST_CASE("intermediates that the peer showed count when it is verified again") {
  TestPki pki;
  auto middle = pki.leaf("node", "intermediate");
  middle.is_ca = true;
  middle.uris.clear();
  const auto issuer = must(pki::issue(pki.authority(), middle));
  const auto node = pki.issue(issuer, pki.leaf("node", "edge-1"));
  const auto registry = context(pki.registry(), transport::Side::kServer);
  ConnectedPair pair(registry, context(node, transport::Side::kClient));
  CHECK(code_of(pair.server->verify_peer_again(*registry)) == ErrorCode{});
}

TEST_CASE("a certificate for the other side fails when its peer is verified again") {
  TestPki pki;
  const auto registry = pki.registry();
  ConnectedPair pair(context(registry, transport::Side::kServer),
                     context(pki.node("a"), transport::Side::kClient));
  // The node's leaf is for clients; a client's context asks for a server.
  CHECK(code_of(pair.server->verify_peer_again(*context(registry, transport::Side::kClient))) ==
        ErrorCode::kCertificateUntrusted);
}

TEST_CASE("the end of a peer is that of the first certificate of its chain") {
  TestPki pki;
  const TimeMs now = TestPki::wall_ms();
  auto middle = pki.leaf("node", "intermediate");
  middle.is_ca = true;
  middle.uris.clear();
  middle.validity = {now - kDayMs, now + 2 * kDayMs};
  const auto issuer = must(pki::issue(pki.authority(), middle));
  const auto end_with = [&](TimeMs leaf_end) {
    auto leaf = pki.leaf("node", "edge-1");
    leaf.validity = {now - kDayMs, leaf_end};
    ConnectedPair pair(context(pki.registry(), transport::Side::kServer),
                       context(pki.issue(issuer, leaf), transport::Side::kClient));
    return pair.server->peer_not_after_ms();
  };
  CHECK(end_with(now + kDayMs) / 1000 == (now + kDayMs) / 1000);
  CHECK(end_with(now + 9 * kDayMs) / 1000 == (now + 2 * kDayMs) / 1000);
}

TEST_CASE("a reload says whether the files differ, and half of them is an error that heals") {
  TestPki pki;
  const auto first = must(pki::issue(pki.authority(), pki.leaf("registry", "first")));
  const auto second = must(pki::issue(pki.authority(), pki.leaf("registry", "second")));
  const auto files = pki.write(first, "server");
  const auto source = must(transport::TlsSource::open(files, transport::Side::kServer));
  const auto before = source->current();
  CHECK_FALSE(must(source->reload()));
  CHECK(source->current() == before);

  must(write_file(files.certificate, second.certificate_pem));
  CHECK_FALSE(source->reload());
  CHECK_FALSE(source->reload());
  CHECK(source->current() == before);
  must(write_file(files.private_key, second.key_pem));
  CHECK(must(source->reload()));
  CHECK(source->current()->identity()->name == "second");
  CHECK_FALSE(must(source->reload()));
}

TEST_CASE("certificate and key can be one file") {
  TestPki pki;
  transport::TlsFiles files = pki.node("edge-1");
  const auto one = must(pki::issue(pki.authority(), pki.leaf("node", "one")));
  files.private_key = files.certificate;
  must(write_file(files.certificate, one.key_pem + one.certificate_pem));
  CHECK(context(files, transport::Side::kClient)->identity()->name == "one");
}

namespace {

asio::awaitable<void> take_join(tcp::acceptor& acceptor, ContextPtr tls, Ended& ended) {
  transport::Connection connection(
      must(co_await transport::accept(acceptor, acceptor.get_executor())), std::move(tls));
  auto shaken = co_await connection.handshake(kPatienceMs);
  if (!shaken) {
    ended.error = shaken.error();
    co_return;
  }
  auto message = co_await connection.read_message(16 << 10, kPatienceMs);
  if (message)
    if (const auto* join = std::get_if<wire::Join>(&*message)) ended.received = join->token;
  if (!message) ended.read_error = message.error();
  co_await connection.close(kPatienceMs);
}

asio::awaitable<void> send_join(std::string address, ContextPtr tls, Ended& ended) {
  auto connection = co_await transport::connect(address, std::move(tls), kPatienceMs);
  if (!connection) {
    ended.error = connection.error();
    co_return;
  }
  ended.identity = (*connection)->peer_identity().text();
  must(co_await (*connection)
           ->write(
               wire::encode_frame(wire::Join{"secret", must(make_certificate_request()).request})));
  co_await (*connection)->close(kPatienceMs);
}

struct Joining {
  Ended server, client;
};

Joining join(ContextPtr listener, ContextPtr caller) {
  Loop loop;
  Joining joining;
  auto acceptor = must(transport::listen(loop.io.get_executor(), "127.0.0.1:0"));
  loop.spawn(take_join(acceptor, std::move(listener), joining.server));
  loop.spawn(send_join(address_of(acceptor), std::move(caller), joining.client));
  loop.run();
  return joining;
}

}  // namespace

TEST_CASE("a node without a certificate meets the registry that its pin names") {
  TestPki pki, other;
  const auto listener = must(transport::TlsContext::enroll_listener(pki.registry()));
  const auto joining = join(listener, must(transport::TlsContext::enroll_caller(
                                          listener->authority(), std::string(kTestDomain))));
  CHECK_FALSE(joining.client.error);
  CHECK(joining.client.identity == test_uri("registry", "main"));
  CHECK(joining.server.received == "secret");

  SUBCASE("the chain is shown to its top through intermediates") {
    auto middle = pki.leaf("registry", "intermediate");
    middle.is_ca = true;
    middle.uris.clear();
    middle.server_auth = false;
    const auto issuer = must(pki::issue(pki.authority(), middle));
    const auto deep = must(
        transport::TlsContext::enroll_listener(pki.issue(issuer, pki.leaf("registry", "deep"))));
    CHECK(deep->authority() == listener->authority());
    const auto caller =
        must(transport::TlsContext::enroll_caller(deep->authority(), std::string(kTestDomain)));
    CHECK(join(deep, caller).client.identity == test_uri("registry", "deep"));
  }
  SUBCASE("another authority is refused") {
    const auto foreign = must(transport::TlsContext::enroll_listener(other.registry()));
    const auto caller =
        must(transport::TlsContext::enroll_caller(listener->authority(), std::string(kTestDomain)));
    CHECK(join(foreign, caller).client.code() == ErrorCode::kCertificateUntrusted);
  }
  SUBCASE("the hash of the leaf is no pin") {
    CHECK(join(listener,
               must(transport::TlsContext::enroll_caller(sha256("x"), std::string(kTestDomain))))
              .client.code() == ErrorCode::kCertificateUntrusted);
  }
  SUBCASE("a registry of another domain is refused") {
    CHECK(join(listener,
               must(transport::TlsContext::enroll_caller(listener->authority(), "other.internal")))
              .client.code() == ErrorCode::kIdentity);
  }
  SUBCASE("a node with a server's purpose is no registry") {
    auto node = pki.leaf("node", "edge-9");
    node.server_auth = true;
    const auto fake = must(transport::TlsContext::enroll_listener(pki.issue(node)));
    const auto caller =
        must(transport::TlsContext::enroll_caller(fake->authority(), std::string(kTestDomain)));
    CHECK(join(fake, caller).client.code() == ErrorCode::kIdentity);
  }
  SUBCASE("the session protocol is not spoken at the enrolment's port, nor the other way round") {
    CHECK(join(listener, context(pki.node("a"), transport::Side::kClient)).client.code() ==
          ErrorCode::kTls);
    const auto caller =
        must(transport::TlsContext::enroll_caller(listener->authority(), std::string(kTestDomain)));
    CHECK(join(context(pki.registry(), transport::Side::kServer), caller).client.code() ==
          ErrorCode::kTls);
  }
}

TEST_CASE("a listener for nodes needs a chain to the authorities that it tells them") {
  TestPki pki, other;
  auto files = pki.registry();
  files.authorities = other.authorities();
  const auto listener = transport::TlsContext::enroll_listener(files);
  REQUIRE_FALSE(listener);
  CHECK(listener.error().code == ErrorCode::kConfig);
}

TEST_CASE("a node takes a renewed certificate when it is there, and looks at nothing before") {
  TestPki pki;
  const transport::TlsFiles files = pki.node("edge-1");
  const auto tls = must(transport::TlsSource::open(files, transport::Side::kClient));
  boost::asio::io_context context;
  SystemRandom random;
  size_t rechecks = 0;
  identity::CertificateRotator keeper(
      context.get_executor(), *tls, /*renew=*/false, random,
      {.ask = [](const wire::Request&) { return false; },
       .trusts_registry = [](const transport::TlsContext&) { return Result<void>{}; },
       .recheck = [&] { ++rechecks; }});
  keeper.start();
  CHECK(context.poll() == 0);
  const ContextPtr before = tls->current();
  const transport::TlsFiles renewed = pki.node("edge-2");
  for (const auto& [from, to] : {std::pair(renewed.certificate, files.certificate),
                                 std::pair(renewed.private_key, files.private_key)})
    must(write_file(to, must(read_file(from, limits::kPemBytesMax))));
  for (const char* step : {"the kernel's report", "both files are there"}) {
    CHECK(rechecks == 0);
    REQUIRE_MESSAGE(context.run_one_for(std::chrono::seconds(20)) == 1, step);
  }
  CHECK(rechecks == 1);
  CHECK(tls->current() != before);
  CHECK(must(Result<session::Identity>(tls->current()->identity())).name == "edge-2");
  keeper.stop();
  context.run();  // nothing is still waiting
}
