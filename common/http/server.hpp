// An HTTP/1.1 server on loopback, on a Unix socket or over TLS: coroutines, keep-alive, named
// limits, hot reload, graceful stop. Slow, silent or greedy clients do not affect the others.
#pragma once

#include <prometheus/registry.h>

#include <boost/asio/any_io_executor.hpp>
#include <functional>

#include "common/descriptor.hpp"
#include "common/http/admission.hpp"
#include "common/http/endpoint.hpp"
#include "common/http/message.hpp"
#include "common/limits.hpp"
#include "common/result.hpp"

namespace notp::http {

// A stopping server waits so long for the first request of a new connection.
inline constexpr int64_t kFirstRequestMs = 1'000;

struct ServerOptions {
  std::string name = "http";  // the label `listener` of the metrics

  // Names that the Host header may have, without port, in any case; else 421. On a loopback address
  // these are added to loopback's own names and addresses; elsewhere an empty list accepts any
  // name. A Unix socket accepts any name. A page in a browser can make its own name resolve to this
  // machine; its Host reveals it. Independently, requests from other origins (Origin,
  // Sec-Fetch-Site) are answered 403.
  std::vector<std::string> hosts;

  // Above these limits: 431, 413, 413.
  size_t header_bytes_max = limits::kHttpHeaderBytesMax;
  size_t body_bytes_max = limits::kHttpBodyBytesMax;
  size_t gzip_body_bytes_max = limits::kHttpGzipBodyBytesMax;  // after unpacking
  // The configuration's keys of the last two, which a refusal names; empty: they are not
  // configurable.
  std::string body_bytes_key, gzip_body_bytes_key;

  // After these times the connection is closed.
  int64_t handshake_ms = limits::kHttpHandshakeMs;
  int64_t idle_ms = limits::kHttpIdleMs;      // until the first byte of a request
  int64_t header_ms = limits::kHttpHeaderMs;  // from its first byte to its last
  // Time without any progress; a body or an answer that is slower than kHttpBytesPerSecondMin in
  // the long run is also too slow.
  int64_t body_ms = limits::kHttpBodyMs;
  int64_t write_ms = limits::kHttpWriteMs;

  // Shared with other servers of the process; null: the server makes its own.
  std::shared_ptr<Admission> admission;
  // Registry for the server's metrics; null: none.
  std::shared_ptr<prometheus::Registry> metrics;
  std::string metrics_prefix = "notp_http";  // of their names
};

class Server {
 public:
  // Starts to accept at once. kConfig: an unusable address, or unusable files; kIo: the port is in
  // use, or a running server owns the socket file.
  static Result<std::unique_ptr<Server>> listen(boost::asio::any_io_executor executor,
                                                Endpoint endpoint, ServerOptions options,
                                                Handler handler);
  // Uses a socket that a service manager has opened for the endpoint: connections wait in it until
  // begin(), and again once this server has stopped. kConfig: see adopt_listener().
  static Result<std::unique_ptr<Server>> adopt(boost::asio::any_io_executor executor,
                                               Endpoint endpoint, Descriptor socket,
                                               ServerOptions options, Handler handler);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Closes all connections and cancels running handlers.
  ~Server();

  // Accepts from an adopted socket. Call it once.
  void begin();

  // Returns the configured or chosen port; 0 for a Unix socket.
  uint16_t port() const;
  // "127.0.0.1:8282", "[::1]:8282", or the path of the Unix socket.
  std::string address() const;

  // Applies to requests that begin from now on; `admission` and `metrics` stay unchanged.
  // Thread-safe.
  void set_options(ServerOptions options);
  // Reads the files of a TlsEndpoint of the same address, which may name other files: true when
  // their content differs from before. New connections use them, and the certificates of connected
  // clients are verified by them from their next request on. On an error nothing changes. kConfig.
  // Thread-safe.
  Result<bool> reload(const TlsEndpoint& endpoint);

  // Stops accepting, closes idle connections, lets requests under way be answered, and closes the
  // rest after `grace_ms`. A new connection may still send one request within kFirstRequestMs: its
  // client cannot know that this is the end. After the last connection the executor has no work
  // from it, so its run() returns, and `ended` is called on it. Thread-safe; returns at once.
  void stop(int64_t grace_ms, std::function<void()> ended = {});

 private:
  class State;
  explicit Server(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace notp::http
