// A TCP proxy on loopback that counts what it forwards. Every arm of a comparison goes through the
// same one, so that all are counted alike: bytes of the TCP streams, both ways.
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

// Bytes that went one way without a byte the other way in between. What is as small as a ping
// stays by itself, so that pings can be told from what follows them.
struct Flight {
  bool up = false;  // from who dialled to who was dialled
  uint64_t bytes = 0;
};

struct Traffic {
  std::vector<Flight> flights;
  uint64_t up_records = 0, down_records = 0;  // of TLS (RFC 8446 §5.1); 0 on other routes

  uint64_t up_bytes() const;
  uint64_t down_bytes() const;
  uint64_t bytes() const { return up_bytes() + down_bytes(); }
  // Turns of direction until the last byte came down, halved: what a slow link would have to wait
  // for, as an upper bound (a flight need not have waited for the one before it). The handshake of
  // TCP itself is one more, for all alike.
  double round_trips() const;
  // Without keep-alives: something small that went up and came down again in the same size. They
  // depend on how long a run takes.
  Traffic without_pings() const;
};

class CountingProxy;

// One listening port and the port that its connections are forwarded to. Thread-safe.
class Route {
 public:
  uint16_t port() const { return port_; }
  // What was forwarded since the last call.
  Traffic take();
  // Waits until no connection is open: all has been counted. kTimeout.
  Result<void> wait_closed(TimeMs patience_ms);

  // Cuts the connection, without a word to either end, once so many bytes have come down from here
  // on. What follows on other connections passes.
  void cut_after(uint64_t down_bytes);
  // Waits for that; what was forwarded until then, which take() does not give any more. kTimeout.
  Result<Traffic> await_cut(TimeMs patience_ms);
  // Connections from here on go to another port.
  void set_target(uint16_t port) { target_ = port; }

 private:
  friend class CountingProxy;
  friend class Conversation;
  // Cuts one direction of a connection into TLS records, as its bytes pass.
  struct RecordCounter {
    uint8_t header[5] = {};
    size_t header_bytes = 0, left = 0;
    uint64_t feed(const char* data, size_t size);
  };
  struct Transit {
    size_t bytes;  // that may pass
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
  // Cuts what is open.
  ~CountingProxy();
  CountingProxy(const CountingProxy&) = delete;
  CountingProxy& operator=(const CountingProxy&) = delete;

  // kIo. The route lives as long as the proxy.
  Result<Route*> add_route(uint16_t target_port, bool is_tls);
  // The loop of the proxy's thread, for servers that have none of their own.
  boost::asio::io_context& context() { return context_; }

 private:
  std::vector<std::unique_ptr<Route>> routes_;  // before the loop, whose coroutines use them
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
  std::thread thread_;
};

}  // namespace notp::bench
