// Two ends of real mutual TLS over loopback in one thread.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>

#include "protocol/transport/endpoint.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

namespace asio = boost::asio;
using asio::ip::tcp;

inline constexpr TimeMs kPatienceMs = 20'000;

using ContextPtr = std::shared_ptr<const transport::TlsContext>;

inline ContextPtr context(const transport::TlsFiles& files, transport::Side side) {
  return must(transport::TlsContext::load(files, side));
}

inline std::string address_of(const tcp::acceptor& acceptor) {
  return "127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
}

// Runs coroutines of one io_context until all have ended; their exceptions fail the test.
class Loop {
 public:
  void spawn(asio::awaitable<void> coroutine) {
    asio::co_spawn(io, std::move(coroutine), [](std::exception_ptr exception) {
      if (exception) std::rethrow_exception(exception);
    });
  }
  void run() {
    io.run();
    io.restart();
  }
  asio::io_context io;
};

struct Ended {
  std::optional<Error> error;  // none: handshake and identity were accepted
  std::string identity;        // of the peer
  Bytes received;              // until the end of the stream
  std::optional<Error> read_error;

  ErrorCode code() const { return error ? error->code : ErrorCode{}; }
};

inline asio::awaitable<void> read_to_end(transport::Connection& connection, Ended& ended) {
  std::array<char, 4096> buffer;
  while (true) {
    auto read = co_await connection.read_some(buffer.data(), buffer.size());
    if (!read) ended.read_error = read.error();
    if (!read || *read == 0) co_return;
    ended.received.append(buffer.data(), *read);
  }
}

inline asio::awaitable<void> serve_one(tcp::acceptor& acceptor, ContextPtr tls, Ended& ended) {
  auto socket = must(co_await transport::accept(acceptor, acceptor.get_executor()));
  transport::Connection connection(std::move(socket), std::move(tls));
  auto shaken = co_await connection.handshake(kPatienceMs);
  if (!shaken) {
    ended.error = shaken.error();
    co_return;
  }
  ended.identity = connection.peer_identity().text();
  must(co_await connection.write("welcome"));
  co_await connection.close(kPatienceMs);
}

inline asio::awaitable<void> call_one(std::string address, ContextPtr tls, Ended& ended) {
  auto connection = co_await transport::connect(address, std::move(tls), kPatienceMs);
  if (!connection) {
    ended.error = connection.error();
    co_return;
  }
  ended.identity = (*connection)->peer_identity().text();
  co_await read_to_end(**connection, ended);
  co_await (*connection)->close(kPatienceMs);
}

// A connected pair, for tests of the time after the handshake.
struct ConnectedPair {
  Loop loop;
  std::unique_ptr<transport::Connection> server, client;

  ConnectedPair() : ConnectedPair(TestPki()) {}
  explicit ConnectedPair(TestPki&& pki)
      : ConnectedPair(context(pki.registry(), transport::Side::kServer),
                      context(pki.node("edge-1"), transport::Side::kClient)) {}
  ConnectedPair(ContextPtr at_server, ContextPtr at_client) {
    auto acceptor = must(transport::listen(loop.io.get_executor(), "127.0.0.1:0"));
    loop.spawn(take(acceptor, std::move(at_server), server));
    loop.spawn(call(address_of(acceptor), std::move(at_client), client));
    loop.run();
  }

 private:
  static asio::awaitable<void> take(tcp::acceptor& acceptor, ContextPtr tls,
                                    std::unique_ptr<transport::Connection>& out) {
    auto socket = must(co_await transport::accept(acceptor, acceptor.get_executor()));
    out = std::make_unique<transport::Connection>(std::move(socket), std::move(tls));
    must(co_await out->handshake(kPatienceMs));
  }
  static asio::awaitable<void> call(std::string address, ContextPtr tls,
                                    std::unique_ptr<transport::Connection>& out) {
    out = must(co_await transport::connect(address, std::move(tls), kPatienceMs));
  }
};

inline asio::awaitable<void> write_all(transport::Connection& connection, ByteView bytes) {
  must(co_await connection.write(bytes));
  connection.finish_output();
}

inline asio::awaitable<void> read_all(transport::Connection& connection, Bytes& out) {
  Ended ended;
  co_await read_to_end(connection, ended);
  if (ended.read_error) throw std::runtime_error(ended.read_error->message);
  out = std::move(ended.received);
}

}  // namespace notp
