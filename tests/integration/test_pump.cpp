// The pump between a session machine and a connection whose peer is slow, silent or gone, and
// blocking work that is moved to the pool and back.
#include <doctest/doctest.h>

#include <future>
#include <thread>

#include "protocol/transport/offload.hpp"
#include "protocol/transport/pump.hpp"
#include "tests/support/wire/tls_ends.hpp"

using namespace notp;

namespace {

// Sends `greeting`, records what it receives, and closes on "bye" or at its deadline.
class TestMachine final : public session::SessionMachine {
 public:
  explicit TestMachine(Bytes greeting = {}) : output(std::move(greeting)) {}

  void receive(ByteView bytes, Now) override {
    received.append(bytes);
    if (received.ends_with("bye")) close_with("done");
  }
  bool receive_part(ByteView bytes, Now now) override {
    if (part_bytes == 0) {
      receive(bytes, now);
      return false;
    }
    unread.append(bytes);
    receive(ByteView(unread).substr(0, part_bytes), now);
    unread.erase(0, part_bytes);
    return !unread.empty() && !closed;
  }
  Bytes take_output(size_t bytes_max) override {
    if (endless) return Bytes(bytes_max, 'e');
    return std::exchange(output, {});
  }
  TimeMs next_deadline() const override { return deadline_ms; }
  void on_deadline(Now) override {
    deadline_ms = kNever;
    close_with("late");
  }
  void on_stalled(Now) override {
    stalled = true;
    output.clear();
    endless = false;
    close_with("given up");
  }
  void on_cut(Now) override { cut = true; }
  bool is_closed() const override { return closed; }

  void close_with(ByteView last) {
    output.append(last);
    closed = true;
  }

  Bytes output, received;
  size_t part_bytes = 0;  // handled in one call; 0: all
  Bytes unread;
  TimeMs deadline_ms = kNever;
  bool endless = false, cut = false, closed = false, stalled = false;
};

struct Pumped {
  TestMachine machine;
  std::optional<transport::Wake> wake;
  int events = 0;
  std::optional<Result<void>> ended;
  TimeMs stall_ms = limits::kTransferStallMs;
};

asio::awaitable<void> run_pump(transport::Connection& connection, Pumped& pumped) {
  pumped.wake.emplace();
  const std::function<void()> after_event = [&pumped] { ++pumped.events; };
  pumped.ended = co_await transport::pump(connection, pumped.machine, *pumped.wake, after_event,
                                          pumped.stall_ms);
}

asio::awaitable<void> say(transport::Connection& connection, Bytes bytes, Bytes& answer) {
  must(co_await connection.write(bytes));
  co_await read_all(connection, answer);
  co_await connection.close(kPatienceMs);
}

}  // namespace

TEST_CASE("pump: a conversation, and the last bytes arrive") {
  ConnectedPair pair;
  Pumped server;
  server.machine.output = "hello";
  Bytes answer;
  pair.loop.spawn(run_pump(*pair.server, server));
  pair.loop.spawn(say(*pair.client, "some words, bye", answer));
  pair.loop.run();
  REQUIRE(server.ended);
  CHECK(server.ended->has_value());
  CHECK(server.machine.received == "some words, bye");
  CHECK(answer == "hellodone");
  CHECK(server.events >= 1);
  CHECK_FALSE(server.machine.cut);
}

TEST_CASE("pump: two pumps talk and both end without error") {
  ConnectedPair pair;
  Pumped server, client;
  client.machine.output = "bye";
  pair.loop.spawn(run_pump(*pair.server, server));
  pair.loop.spawn(run_pump(*pair.client, client));
  pair.loop.run();
  REQUIRE(server.ended);
  REQUIRE(client.ended);
  CHECK(server.ended->has_value());
  CHECK(client.machine.received == "done");
  // The server's "done" does not close the client's machine: it saw the end of the stream.
  CHECK(client.machine.cut);
  REQUIRE_FALSE(*client.ended);
  CHECK(client.ended->error().code == ErrorCode::kUnavailable);
}

TEST_CASE("pump: what the machine handles in parts lets other work of the thread go between") {
  ConnectedPair pair;
  Pumped server;
  server.machine.part_bytes = 1;
  Bytes answer;
  size_t others = 0;
  std::function<void()> other = [&] {
    if (server.ended) return;
    ++others;
    asio::post(pair.loop.io, other);
  };
  pair.loop.spawn(run_pump(*pair.server, server));
  pair.loop.spawn(say(*pair.client, "word by word, bye", answer));
  while (server.machine.received.empty()) pair.loop.io.run_one();
  other();
  pair.loop.run();
  CHECK(server.machine.received == "word by word, bye");
  CHECK(answer == "done");
  CHECK(others >= server.machine.received.size() - 1);
}

TEST_CASE("pump: a deadline fires while the peer is silent") {
  ConnectedPair pair;
  Pumped server;
  server.machine.deadline_ms = read_clock().boot_ms + 5;
  Bytes answer;
  pair.loop.spawn(run_pump(*pair.server, server));
  pair.loop.spawn(say(*pair.client, "x", answer));
  pair.loop.run();
  CHECK(server.ended->has_value());
  CHECK(answer == "late");
}

TEST_CASE("pump: the host wakes it with output, a nearer deadline, or a closed machine") {
  ConnectedPair pair;
  Pumped server;
  Bytes answer;
  pair.loop.spawn(run_pump(*pair.server, server));
  pair.loop.spawn(say(*pair.client, "x", answer));
  while (server.machine.received.empty()) pair.loop.io.run_one();
  server.machine.output += "pushed ";
  SUBCASE("closed") { server.machine.close_with("late"); }
  SUBCASE("deadline") { server.machine.deadline_ms = read_clock().boot_ms + 5; }
  server.wake->notify();
  pair.loop.run();
  CHECK(server.ended->has_value());
  CHECK(answer == "pushed late");
}

TEST_CASE("pump: a peer that takes nothing of what is sent is given up") {
  ConnectedPair pair;
  Pumped server;
  server.stall_ms = 50;
  server.machine.endless = true;
  pair.loop.spawn(run_pump(*pair.server, server));
  pair.loop.run();
  REQUIRE(server.ended);
  CHECK(server.machine.stalled);
  CHECK_FALSE(server.machine.cut);
  REQUIRE_FALSE(server.ended->has_value());
  CHECK(server.ended->error().code == ErrorCode::kTimeout);
}

TEST_CASE("pump: a peer whose system took everything is not given up, though it reads nothing") {
  ConnectedPair pair;
  Pumped server;
  server.stall_ms = 500;  // the kernel may delay its acknowledgement (RFC 9293, 3.8.6.3)
  server.machine.output = "a few bytes";
  server.machine.deadline_ms = read_clock().boot_ms + 1'200;
  pair.loop.spawn(run_pump(*pair.server, server));
  pair.loop.run();
  REQUIRE(server.ended);
  CHECK_FALSE(server.machine.stalled);
}

TEST_CASE("pump: a connection that ends is a cut") {
  ConnectedPair pair;
  Pumped server;
  pair.loop.spawn(run_pump(*pair.server, server));
  pair.client->abort();
  pair.loop.run();
  REQUIRE_FALSE(*server.ended);
  CHECK(server.ended->error().code == ErrorCode::kUnavailable);
  CHECK(server.machine.cut);
}

TEST_CASE("pump: the host ends it with abort") {
  ConnectedPair pair;
  Pumped server;
  Bytes answer;
  pair.loop.spawn(run_pump(*pair.server, server));
  pair.loop.spawn(say(*pair.client, "x", answer));
  while (server.machine.received.empty()) pair.loop.io.run_one();
  pair.server->abort();
  pair.loop.run();
  REQUIRE_FALSE(*server.ended);
  CHECK(server.ended->error().code == ErrorCode::kCancelled);
  CHECK(server.machine.cut);
}

TEST_CASE("pump: a peer that never reads is dropped after the machine's deadline") {
  ConnectedPair pair;
  Pumped server;
  server.machine.endless = true;
  server.machine.deadline_ms = read_clock().boot_ms + 5;
  pair.loop.spawn(run_pump(*pair.server, server));
  pair.loop.run();
  REQUIRE_FALSE(*server.ended);
  CHECK(server.ended->error().code == ErrorCode::kTimeout);
  // The bytes sent are limited by the kernel's buffers, however much the machine had to send.
  CHECK(pair.server->bytes_sent() < 64 << 20);
}

TEST_CASE("pump: a refused client learns the reason from its pump") {
  TestPki pki, other;
  auto files = other.node("edge-17");
  files.authorities = pki.authorities();
  Loop loop;
  auto acceptor = must(transport::listen(loop.io.get_executor(), "127.0.0.1:0"));
  Ended server;
  Pumped client;
  client.machine.output = "hello in the first flight";
  loop.spawn(serve_one(acceptor, context(pki.registry(), transport::Side::kServer), server));
  const auto call = [](std::string address, ContextPtr tls, Pumped& out) -> asio::awaitable<void> {
    auto connection = must(co_await transport::connect(address, std::move(tls), kPatienceMs));
    co_await run_pump(*connection, out);
  };
  loop.spawn(call(address_of(acceptor), context(files, transport::Side::kClient), client));
  loop.run();
  REQUIRE(client.ended);
  REQUIRE_FALSE(*client.ended);
  CHECK(client.ended->error().code == ErrorCode::kCertificateUntrusted);
}

namespace {

struct Offloaded {
  std::thread::id worked, resumed;
  std::optional<Result<int>> result;
};

asio::awaitable<void> offload_one(transport::OffloadPool& pool, Offloaded& out) {
  out.result = co_await transport::offload(pool, [&out]() -> Result<int> {
    out.worked = std::this_thread::get_id();
    return 42;
  });
  out.resumed = std::this_thread::get_id();
}

asio::awaitable<void> offload_throwing(transport::OffloadPool& pool, Offloaded& out) {
  out.result = co_await transport::offload(
      pool, []() -> Result<int> { throw std::runtime_error("broken"); });
}

asio::awaitable<void> offload_blocked(transport::OffloadPool& pool, std::shared_future<void> gate,
                                      Offloaded& out) {
  out.result = co_await transport::offload(pool, [gate]() -> Result<int> {
    gate.wait();
    return 1;
  });
}

}  // namespace

TEST_CASE("offload: the work runs on the pool, its caller goes on where it was") {
  transport::OffloadPool pool(1);
  Loop loop;
  Offloaded out;
  loop.spawn(offload_one(pool, out));
  loop.run();
  REQUIRE(out.result);
  CHECK(*out.result == 42);
  CHECK(out.resumed == std::this_thread::get_id());
  CHECK(out.worked != out.resumed);
  CHECK(pool.depth() == 0);
}

TEST_CASE("offload: an exception becomes an error") {
  transport::OffloadPool pool(1);
  Loop loop;
  Offloaded out;
  loop.spawn(offload_throwing(pool, out));
  loop.run();
  REQUIRE_FALSE(*out.result);
  CHECK(out.result->error().code == ErrorCode::kInternal);
  CHECK(out.result->error().message == "broken");
}

TEST_CASE("offload: a full queue refuses at once and takes work again later") {
  transport::OffloadPool pool(1, 2);
  Loop loop;
  std::promise<void> open;
  const std::shared_future<void> gate = open.get_future().share();
  Offloaded first, second, third;
  for (Offloaded* out : {&first, &second, &third}) loop.spawn(offload_blocked(pool, gate, *out));
  while (!third.result) loop.io.run_one();
  CHECK(third.result->error().code == ErrorCode::kOverloaded);
  open.set_value();
  loop.run();
  CHECK(*first.result == 1);
  CHECK(*second.result == 1);
  Offloaded again;
  loop.spawn(offload_one(pool, again));
  loop.run();
  CHECK(*again.result == 42);
}
