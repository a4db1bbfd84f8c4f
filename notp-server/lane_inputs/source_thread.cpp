#include "notp-server/lane_inputs/source_thread.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

#include "common/mutex.hpp"
#include "common/spawn.hpp"

namespace notp::lane_inputs {

namespace asio = boost::asio;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// A machine that slept is noticed within this time: timers stand still meanwhile.
constexpr TimeMs kLookMs = 30'000;

// One answer of the intake.
struct Answer {
  explicit Answer(asio::io_context& context) : arrived(context) {}

  std::optional<Result<lane::IntakeOutcome>> result;
  asio::steady_timer arrived;
};

}  // namespace

class SourceThread::Mailbox {
 public:
  explicit Mailbox(asio::io_context& context) : context_(&context) {}

  void post(std::function<void()> work) {
    const MutexLock lock(mutex_);
    if (context_ != nullptr) asio::post(*context_, std::move(work));
  }
  void close() {
    const MutexLock lock(mutex_);
    context_ = nullptr;
  }

 private:
  Mutex mutex_;
  asio::io_context* context_ NOTP_GUARDED_BY(mutex_);
};

void SourceThread::start(const std::function<asio::awaitable<void>()>& main) {
  stop();
  context_.emplace(1);
  mailbox_ = std::make_shared<Mailbox>(*context_);
  spawn(context_->get_executor(), main());
  thread_ = std::thread([this] {
    const auto work = asio::make_work_guard(*context_);
    context_->run();
  });
}

void SourceThread::stop() {
  if (!context_) return;
  mailbox_->close();
  context_->stop();
  thread_.join();
  context_.reset();
}

asio::awaitable<Result<lane::IntakeOutcome>> SourceThread::take(
    lane::LaneIntake& intake, const std::string& source, std::vector<lane::IncomingEvent> events) {
  const auto answer = std::make_shared<Answer>(*context_);
  answer->arrived.expires_at(asio::steady_timer::time_point::max());
  // A weak one: the answer has a timer of the context.
  lane::LaneIntake::Done done = [mailbox = mailbox_,
                                 weak = std::weak_ptr(answer)](Result<lane::IntakeOutcome> result) {
    mailbox->post([weak, result = std::move(result)]() mutable {
      const auto waiting = weak.lock();
      if (!waiting) return;
      waiting->result = std::move(result);
      waiting->arrived.cancel();
    });
  };
  intake.take(source, std::move(events), std::move(done));
  while (!answer->result) co_await answer->arrived.async_wait(kAwait);
  co_return *std::move(answer->result);
}

struct Wakeup::Timer {
  explicit Timer(asio::io_context& context) : timer(context) {}
  asio::steady_timer timer;
};

Wakeup::Wakeup(asio::io_context& context) : timer_(std::make_unique<Timer>(context)) {}
Wakeup::~Wakeup() = default;

asio::awaitable<void> Wakeup::wait_until(TimeMs boot_ms) {
  const TimeMs now_ms = read_clock().boot_ms;
  const TimeMs wait_ms = woken_ ? 0 : std::clamp<TimeMs>(boot_ms - now_ms, 0, kLookMs);
  // Even without a wait, what else is ready on the context runs first.
  timer_->timer.expires_after(std::chrono::milliseconds(wait_ms));
  co_await timer_->timer.async_wait(kAwait);
  woken_ = false;
}

void Wakeup::wake() {
  woken_ = true;
  timer_->timer.cancel();
}

}  // namespace notp::lane_inputs
