// A TCP proxy on loopback that counts the bytes it forwards. Every arm of a comparison uses the
// same proxy, so that all are counted alike: bytes of the TCP streams, both ways.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace notp::bench {

// Bytes in one direction without a byte in the other direction in between. Anything as small as a
// ping is a flight by itself, so that pings can be told from the bytes after them.
struct Flight {
  bool up = false;  // from the client to the server
  uint64_t bytes = 0;
};

struct Traffic {
  std::vector<Flight> flights;
  uint64_t up_records = 0, down_records = 0;  // of TLS (RFC 8446 §5.1); 0 on other routes

  uint64_t up_bytes() const;
  uint64_t down_bytes() const;
  uint64_t bytes() const { return up_bytes() + down_bytes(); }
  // Half the number of direction changes until the last byte came down: an upper bound of the round
  // trips that a slow link would add, since a flight need not have waited for the one before it.
  // TCP's own handshake is one more, for all arms alike.
  double round_trips() const;
  // Excludes keep-alives: small flights up that are answered by a flight of the same size. Their
  // number depends on the duration of a run.
  Traffic without_pings() const;
};

class CountingProxy;

// One listening port and the port that its connections are forwarded to. Thread-safe.
class Route {
 public:
  uint16_t port() const { return port_; }
  // The traffic since the last call.
  Traffic take();
  // Waits until no connection is open, so that everything has been counted. kTimeout.
  Result<void> wait_closed(TimeMs patience_ms);

  // Cuts the connection, without notice to either end, once this many bytes have come down from now
  // on. Other connections are forwarded as before.
  void cut_after(uint64_t down_bytes);
  // Waits for the cut and returns the traffic before it, which take() does not return again.
  // kTimeout.
  Result<Traffic> await_cut(TimeMs patience_ms);
  // Directs new connections to another port.
  void set_target(uint16_t port) { target_ = port; }

 private:
  friend class CountingProxy;
  friend class Conversation;
  // Splits one direction of a connection into TLS records as its bytes pass.
  struct RecordCounter {
    uint8_t header[5] = {};
    size_t header_bytes = 0, left = 0;
    uint64_t feed(const char* data, size_t size);
  };
  struct Transit {
    size_t bytes;  // allowed to pass
    bool is_cut;   // the connection ends after them
  };
  Transit count(bool up, const char* data, size_t size, RecordCounter& records);
  void connection_opened();
  void connection_closed();

  uint16_t port_ = 0;
  std::atomic<uint16_t> target_ = 0;
  bool is_tls_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;

  // Guarded by mutex_.
  Traffic traffic_;
  size_t open_ = 0;
  std::optional<uint64_t> left_until_cut_;
  std::optional<Traffic> until_cut_;
};

class CountingProxy {
 public:
  CountingProxy();
  // Cuts all open connections.
  ~CountingProxy();
  CountingProxy(const CountingProxy&) = delete;
  CountingProxy& operator=(const CountingProxy&) = delete;

  // kIo. The route lives as long as the proxy.
  Result<Route*> add_route(uint16_t target_port, bool is_tls);
  // The loop of the proxy's thread, for servers without their own.
  boost::asio::io_context& context() { return context_; }

 private:
  std::vector<std::unique_ptr<Route>> routes_;  // before the loop, whose coroutines use them
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
  std::thread thread_;
};

}  // namespace notp::bench
