#include "common/asio/clock_watch.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <limits>
#include <utility>

#include "common/limits.hpp"
#include "common/log.hpp"

namespace notp {

namespace asio = boost::asio;

namespace {

// Returns -1 when this kernel has no such timer.
int open_timer() {
  const int timer = ::timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (timer < 0) return -1;
  // It never expires: only its cancellation matters.
  itimerspec never{};
  never.it_value.tv_sec = std::numeric_limits<time_t>::max();
  if (::timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, nullptr) == 0)
    return timer;
  ::close(timer);
  return -1;
}

}  // namespace

class ClockWatch::State : public std::enable_shared_from_this<State> {
 public:
  State(asio::any_io_executor executor, std::function<void()> on_set, int64_t check_ms)
      : on_set_(std::move(on_set)), check_ms_(check_ms), timer_(executor), check_(executor) {}

  void start(int descriptor) {
    boost::system::error_code failed;
    if (descriptor >= 0) timer_.assign(descriptor, failed);
    if (failed) ::close(descriptor);
    if (timer_.is_open()) return await_set();
    log::warn("clock_polled", {{"message", "the kernel does not report that its clock is set"},
                               {"interval_ms", check_ms_}});
    await_check();
  }

  void stop() {
    stopped_ = true;
    check_.cancel();
    timer_.close();
  }

 private:
  void await_set() {
    timer_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = weak_from_this()](boost::system::error_code error) {
                        const auto state = self.lock();
                        if (!error && state && !state->stopped_) state->set();
                      });
  }

  void set() {
    // Fails with ECANCELED; reading arms it again, so it comes before any look at the clock.
    uint64_t ignored = 0;
    static_cast<void>(::read(timer_.native_handle(), &ignored, sizeof(ignored)));
    await_set();
    on_set_();
  }

  void await_check() {
    check_.expires_after(std::chrono::milliseconds(check_ms_));
    check_.async_wait([self = weak_from_this()](boost::system::error_code error) {
      const auto state = self.lock();
      if (error || !state || state->stopped_) return;
      state->await_check();
      state->on_set_();
    });
  }

  const std::function<void()> on_set_;
  const int64_t check_ms_;
  asio::posix::stream_descriptor timer_;
  asio::steady_timer check_;
  bool stopped_ = false;
};

ClockWatch::ClockWatch(asio::any_io_executor executor, std::function<void()> on_set)
    : ClockWatch(std::move(executor), std::move(on_set), open_timer(), limits::kClockCheckMs) {}

ClockWatch::ClockWatch(asio::any_io_executor executor, std::function<void()> on_set, int descriptor,
                       int64_t check_ms)
    : state_(std::make_shared<State>(std::move(executor), std::move(on_set), check_ms)) {
  state_->start(descriptor);
}

ClockWatch::~ClockWatch() { state_->stop(); }

void ClockWatch::stop() { state_->stop(); }

}  // namespace notp
