// Peers that exceed their share of a real registry: the registry and its other peers continue.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/resource.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include "common/limits.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/raw_tls_client.hpp"

namespace notp {
namespace {

using boost::asio::ip::tcp;

bool publishes(Stack& stack) {
  const auto model = stack.copy_example("payments");
  return stack.publish(model, kPayments).status == 0;
}

// The code of the Error in the registry's output; "" when there is none.
std::string error_in(const Bytes& heard) {
  wire::FrameParser parser;
  parser.feed(heard);
  for (auto next = parser.next(); next && *next; next = parser.next())
    if (const auto* error = std::get_if<wire::ErrorMessage>(&**next))
      return std::string(error_traits(error->code).name);
  return "";
}

Bytes announcement(uint32_t stream, uint64_t size) {
  wire::Publish publish;
  publish.request = stream;
  publish.ledger = model::LedgerId::parse(kPayments).value();
  publish.version = 1;
  publish.size = size;
  publish.stream = stream;
  return wire::encode_frame(publish);
}

void raise_descriptor_limit() {
  struct rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

// What a client says first, as one that agrees with the registry on everything.
Bytes client_hello() {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  const std::unique_ptr<SSL, decltype(&SSL_free)> client(SSL_new(context.get()), &SSL_free);
  constexpr unsigned char kAlpn[] = "\x06notp/1";
  SSL_set_alpn_protos(client.get(), kAlpn, sizeof kAlpn - 1);
  BIO* const sent = BIO_new(BIO_s_mem());
  SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), sent);
  SSL_connect(client.get());
  Bytes hello(BIO_ctrl_pending(sent), '\0');
  REQUIRE(BIO_read(sent, hello.data(), static_cast<int>(hello.size())) ==
          static_cast<int>(hello.size()));
  REQUIRE_FALSE(hello.empty());
  return hello;
}

TEST_CASE("strangers who stop in the middle of a handshake do not keep anybody from a session") {
  raise_descriptor_limit();
  Stack stack;
  stack.start_registry();
  const Bytes hello = client_hello();
  boost::asio::io_context io;
  std::list<tcp::socket> stalled;
  for (int i = 0; i < 1'000; ++i) {
    tcp::socket& socket = stalled.emplace_back(io, tcp::v4());
    socket.bind({boost::asio::ip::make_address_v4("127.0.0.2"), 0});
    socket.connect(
        {boost::asio::ip::address_v4::loopback(), static_cast<uint16_t>(stack.registry_port())});
    boost::asio::write(socket, boost::asio::buffer(hello));
  }
  CHECK(publishes(stack));
  CHECK(stack.notp("alice", {"history", kPayments}).status == 0);
  // Control: the registry was in the middle of their handshakes.
  Bytes answer(1 << 12, '\0');
  const size_t heard = stalled.front().read_some(boost::asio::buffer(answer));
  CHECK(heard > 500);
}

TEST_CASE("strangers who connect and say nothing do not keep anybody from a session") {
  raise_descriptor_limit();
  Stack stack;
  stack.start_registry();
  boost::asio::io_context io;
  std::list<tcp::socket> silent;
  for (int i = 0; i < 700; ++i) {
    silent.emplace_back(io);
    silent.back().connect(
        {boost::asio::ip::address_v4::loopback(), static_cast<uint16_t>(stack.registry_port())});
  }
  CHECK(publishes(stack));
  CHECK(stack.notp("alice", {"history", kPayments}).status == 0);
  // The oldest of them sees the end of its connection.
  char byte = 0;
  boost::system::error_code error;
  silent.front().read_some(boost::asio::buffer(&byte, 1), error);
  CHECK(error);
}

TEST_CASE("connections that were accepted while there was room are no more sessions than allowed") {
  constexpr size_t kSessions = 3, kConnections = 12;
  Stack stack;
  stack.registry_more["limits"] = json::object{{"sessions", kSessions}};
  stack.write_registry_config();
  stack.start_registry();
  boost::asio::io_context io;
  std::vector<tcp::socket> sockets;
  for (size_t i = 0; i < kConnections; ++i) {
    sockets.emplace_back(io);
    sockets.back().connect(
        {boost::asio::ip::address_v4::loopback(), static_cast<uint16_t>(stack.registry_port())});
  }
  const std::string stem = stack.file("pki/alice").string();
  const RawTlsClient client{.credential = transport::TlsFiles{stem + ".crt", stem + ".key", {}, {}},
                            .says = wire::encode_frame(wire::Hello{
                                .versions = {wire::kProtocolVersion}, .user_agent = "many"})};
  std::atomic<size_t> ended = 0;
  std::vector<std::jthread> threads;
  for (tcp::socket& socket : sockets)
    threads.emplace_back([&] {
      client.run(socket);
      ++ended;
    });
  CHECK(wait_until([&] { return ended == kConnections - kSessions; }));
  CHECK(wait_until([&] { return stack.count_events("session_opened") >= kSessions; }));
  CHECK(stack.stop_registry() == 0);
  threads.clear();
  CHECK(stack.count_events("session_opened") == kSessions);
}

TEST_CASE(
    "uploads that are announced and do not come take no memory, and one too many is refused") {
  Stack stack;
  stack.start_registry();
  const std::string stem = stack.file("pki/alice").string();
  RawTlsClient greedy;
  greedy.credential = transport::TlsFiles{stem + ".crt", stem + ".key", {}, {}};
  greedy.says = wire::encode_frame(
                    wire::Hello{.versions = {wire::kProtocolVersion}, .user_agent = "greedy"}) +
                announcement(1, limits::kArtifactBytesMax) +
                announcement(2, limits::kArtifactBytesMax);
  CHECK(error_in(greedy.run(static_cast<uint16_t>(stack.registry_port()))) == "overloaded");
  CHECK(publishes(stack));
}

}  // namespace
}  // namespace notp
