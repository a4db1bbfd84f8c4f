// Peers that exceed their share of a real registry: the registry and its other peers continue.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>
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

TEST_CASE("strangers who connect and say nothing do not keep anybody from a session") {
  struct rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
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
