// A small HTTP/1.1 server for programs on the same machine: coroutines, keep-alive, limits,
// graceful stop. It speaks no TLS and knows no identities, which is why it listens on loopback
// only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "common/http/message.hpp"
#include "common/limits.hpp"

namespace notp::http {

struct ServerOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;  // 0: the system chooses; see Server::port()
  // Also listen on addresses other than loopback, and answer requests for any Host. Whoever reaches
  // the port may then ask.
  bool beyond_loopback = false;
  size_t connections_max = limits::kHttpConnectionsMax;
  size_t body_bytes_max = limits::kHttpBodyBytesMax;
  int64_t idle_ms =
      limits::kHttpIdleMs;  // for the next request to arrive whole, and to take an answer
};

// Runs on the executor of the server, each connection on a strand of its own: with a context of
// several threads it is called from all of them. What it throws becomes a 500.
using Handler = std::function<boost::asio::awaitable<Response>(const Request&)>;

class Server {
 public:
  // Starts to accept at once. kConfig: the address is not an IP address, or not a loopback one;
  // kIo: the port is taken.
  static Result<std::unique_ptr<Server>> listen(boost::asio::any_io_executor executor,
                                                ServerOptions options, Handler handler);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Closes all connections. Handlers that are running end at their next suspension.
  ~Server();

  uint16_t port() const;

  // Stops accepting, closes idle connections, lets requests under way be answered, and closes what
  // is left after `grace_ms`. Thread-safe; returns at once.
  void stop(int64_t grace_ms);

 private:
  class State;
  explicit Server(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace notp::http
