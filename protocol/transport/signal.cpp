#include "protocol/transport/signal.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/assert.hpp"

namespace notp::transport {
namespace asio = boost::asio;

Signal::Signal(asio::any_io_executor executor)
    : timer_(std::move(executor), asio::steady_timer::time_point::max()) {}

void Signal::notify() {
  notified_ = true;
  if (waiting_) timer_.cancel();
}

asio::awaitable<void> Signal::wait() {
  NOTP_ASSERT(!waiting_, "one coroutine waits for a signal");
  while (!notified_) {
    waiting_ = true;
    static_cast<void>(co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable)));
    waiting_ = false;
  }
  notified_ = false;
}

}  // namespace notp::transport
