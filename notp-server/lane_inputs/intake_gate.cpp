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

struct Waiting {
  explicit Waiting(const asio::any_io_executor& executor)
      : timer(executor, std::chrono::milliseconds(kCommitMs)) {}

  asio::steady_timer timer;
  std::optional<Result<lane::IntakeOutcome>> outcome;
};

}  // namespace

asio::awaitable<Result<lane::IntakeOutcome>> IntakeGate::take(
    std::vector<lane::IncomingEvent> events) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto waiting = std::make_shared<Waiting>(executor);
  hand_over(std::move(events), [executor, waiting](Result<lane::IntakeOutcome> outcome) {
    asio::post(executor, [waiting, outcome = std::move(outcome)]() mutable {
      waiting->outcome = std::move(outcome);
      waiting->timer.cancel();
    });
  });
  boost::system::error_code ignored;
  co_await waiting->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (waiting->outcome) co_return *std::move(waiting->outcome);
  if (waiting->timer.expiry() > std::chrono::steady_clock::now())
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
