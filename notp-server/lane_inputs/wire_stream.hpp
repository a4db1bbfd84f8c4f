// A connection to a broker, plain or over TLS.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>

#include "common/clock.hpp"
#include "common/http/client_tls.hpp"
#include "common/http/proxy.hpp"
#include "common/http/stream.hpp"

namespace notp::lane_inputs {

struct WireTarget {
  HostPort at;
  http::ClientTlsPtr tls;  // null: plain
  std::optional<http::ProxyServer> proxy;
};

// On one executor. One read and one write at a time.
class WireStream {
 public:
  // Errors of http::dial() and http::ClientTls; kTimeout after the boot time `until_ms`.
  static boost::asio::awaitable<Result<std::unique_ptr<WireStream>>> connect(WireTarget target,
                                                                             TimeMs until_ms);
  explicit WireStream(http::Stream::Socket socket) : stream_(std::move(socket)) {}

  // Reads at least one byte. kTimeout: none came within `wait_ms` (kNever: it waits for ever), and
  // the stream is as before; kUnavailable: it has ended.
  boost::asio::awaitable<Result<size_t>> read(char* data, size_t size, TimeMs wait_ms);
  // Writes all. kTimeout, after which the stream is closed; kUnavailable.
  boost::asio::awaitable<Result<void>> write(ByteView bytes, TimeMs wait_ms);
  void close() { stream_.close(); }
  http::Stream& stream() { return stream_; }

 private:
  http::Stream stream_;
};

}  // namespace notp::lane_inputs
