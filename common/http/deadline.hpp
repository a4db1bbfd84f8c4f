// Ends operations that wait for a socket when their time has passed.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "common/clock.hpp"

namespace notp::http {

// Belongs to one thread or strand, that of `executor`.
class Deadline {
 public:
  // Calls `close` once after `timeout_ms`, unless the object has been destroyed before.
  Deadline(const boost::asio::any_io_executor& executor, TimeMs timeout_ms,
           std::function<void()> close)
      : timer_(executor, std::chrono::milliseconds(timeout_ms)),
        close_(std::make_shared<std::function<void()>>(std::move(close))) {
    timer_.async_wait([shared = close_](const boost::system::error_code& error) {
      if (!error && *shared) std::exchange(*shared, nullptr)();
    });
  }
  // An expired timer still calls its handler, which then finds no function.
  ~Deadline() { *close_ = nullptr; }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  boost::asio::steady_timer timer_;
  std::shared_ptr<std::function<void()>> close_;
};

}  // namespace notp::http
