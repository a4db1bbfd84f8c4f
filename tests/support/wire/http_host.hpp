// An HTTP server on its own threads, and misbehaving clients.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <thread>

#include "common/http/client.hpp"
#include "common/http/server.hpp"

namespace notp {

struct HttpHost {
  explicit HttpHost(http::Handler handler, http::ServerOptions options = {},
                    http::Endpoint endpoint = http::TcpEndpoint{}) {
    auto listening = http::Server::listen(context.get_executor(), std::move(endpoint),
                                          std::move(options), std::move(handler));
    REQUIRE_MESSAGE(listening, listening.error().message);
    server = *std::move(listening);
    for (int i = 0; i < 2; ++i) threads.emplace_back([this] { context.run(); });
  }
  ~HttpHost() {
    server.reset();
    work.reset();  // the threads end when all connections are closed
    for (auto& thread : threads) thread.join();
  }
  http::Response call(http::Call request) {
    request.url = fmt::format("http://127.0.0.1:{}{}", server->port(), request.url);
    request.deadline_ms = 60'000;
    auto response = http::call_blocking(std::move(request));
    REQUIRE_MESSAGE(response, response.error().message);
    return *std::move(response);
  }

  boost::asio::io_context context{2};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
      context.get_executor()};
  std::unique_ptr<http::Server> server;
  std::vector<std::thread> threads;
};

// Raw bytes on a socket, for requests that a proper client does not send.
struct RawClient {
  explicit RawClient(const HttpHost& host) {
    if (host.server->port() != 0)
      socket.connect(boost::asio::ip::tcp::endpoint(boost::asio::ip::address_v4::loopback(),
                                                    host.server->port()));
    else
      socket.connect(boost::asio::local::stream_protocol::endpoint(host.server->address()));
  }
  void send(std::string_view bytes) { boost::asio::write(socket, boost::asio::buffer(bytes)); }
  // The same to a peer that may have closed.
  bool try_send(std::string_view bytes) {
    boost::system::error_code error;
    boost::asio::write(socket, boost::asio::buffer(bytes), error);
    return !error;
  }
  // Reads up to `mark`; or the rest, when the connection ends before.
  std::string until(std::string_view mark) {
    boost::system::error_code error;
    const size_t size =
        boost::asio::read_until(socket, boost::asio::dynamic_buffer(text), mark, error);
    std::string out = text.substr(0, error ? text.size() : size);
    text.erase(0, out.size());
    return out;
  }
  std::string rest() { return until("\x01 never"); }
  // "200", after reading the whole answer to one request on a kept connection.
  std::string status() {
    const std::string head = until("\r\n\r\n");
    const size_t at = head.find("Content-Length: ");
    const size_t size = at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
    while (text.size() < size) {
      std::array<char, 65536> piece;
      boost::system::error_code error;
      const size_t got = socket.read_some(boost::asio::buffer(piece), error);
      if (error) break;
      text.append(piece.data(), got);
    }
    text.erase(0, size);
    return head.size() < 12 ? head : head.substr(9, 3);
  }

  boost::asio::io_context context;
  boost::asio::generic::stream_protocol::socket socket{context};
  std::string text;
};

}  // namespace notp
