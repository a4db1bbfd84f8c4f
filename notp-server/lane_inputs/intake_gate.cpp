#include "notp-server/lane_inputs/intake_gate.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "notp-server/lane_inputs/lane_input_limits.hpp"

namespace notp::lane_inputs {

namespace asio = boost::asio;

namespace {

// Between a coroutine that waits and an answer that may come after it and its context have gone.
class AnswerLink {
 public:
  explicit AnswerLink(asio::steady_timer& timer) : timer_(&timer) {}

  // On any thread.
  static void deliver(const std::shared_ptr<AnswerLink>& link, Result<lane::IntakeOutcome> answer) {
    const MutexLock lock(link->mutex_);
    if (link->timer_ == nullptr) return;
    link->answer_ = std::move(answer);
    asio::post(link->timer_->get_executor(), [link] { link->wake(); });
  }
  std::optional<Result<lane::IntakeOutcome>> take() {
    const MutexLock lock(mutex_);
    return std::move(answer_);
  }
  // The coroutine ends: its timer and executor are touched no more.
  void close() {
    const MutexLock lock(mutex_);
    timer_ = nullptr;
  }

 private:
  void wake() {
    const MutexLock lock(mutex_);
    if (timer_ != nullptr) timer_->cancel();
  }

  Mutex mutex_;
  asio::steady_timer* timer_ NOTP_GUARDED_BY(mutex_);
  std::optional<Result<lane::IntakeOutcome>> answer_ NOTP_GUARDED_BY(mutex_);
};

struct Waiting {
  explicit Waiting(const asio::any_io_executor& executor)
      : timer(executor, std::chrono::milliseconds(kCommitMs)),
        link(std::make_shared<AnswerLink>(timer)) {}
  ~Waiting() { link->close(); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  asio::steady_timer timer;
  const std::shared_ptr<AnswerLink> link;
};

}  // namespace

asio::awaitable<Result<lane::IntakeOutcome>> IntakeGate::take(
    std::vector<lane::IncomingEvent> events) {
  Waiting waiting(co_await asio::this_coro::executor);
  hand_over(std::move(events), [link = waiting.link](Result<lane::IntakeOutcome> answer) {
    AnswerLink::deliver(link, std::move(answer));
  });
  boost::system::error_code ignored;
  co_await waiting.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (auto answer = waiting.link->take()) co_return *std::move(answer);
  if (waiting.timer.expiry() > std::chrono::steady_clock::now())
    co_return fail(ErrorCode::kCancelled, "the caller has gone");
  co_return fail(ErrorCode::kTimeout, "the lane did not commit in time");
}

void IntakeGate::hand_over(std::vector<lane::IncomingEvent> events, lane::LaneIntake::Done done) {
  {
    const MutexLock lock(mutex_);
    if (intake_ != nullptr) return intake_->take(source_, std::move(events), std::move(done));
  }
  done(fail(ErrorCode::kUnavailable, "the registry stops"));
}

void IntakeGate::close() {
  const MutexLock lock(mutex_);
  intake_ = nullptr;
}

}  // namespace notp::lane_inputs
