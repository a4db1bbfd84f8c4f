// Wakes one coroutine of the same thread. A notification before the wait is not lost; several count
// as one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

namespace notp::transport {

// Belongs to the thread of its executor: from another thread, post() a notify().
class Signal {
 public:
  explicit Signal(boost::asio::any_io_executor executor);
  void notify();
  // Returns at the next notification, or at once when one came since the last wait. One coroutine
  // at a time.
  boost::asio::awaitable<void> wait();

 private:
  boost::asio::steady_timer timer_;  // never expires: cancelling it is the notification
  bool notified_ = false;
  bool waiting_ = false;
};

}  // namespace notp::transport
