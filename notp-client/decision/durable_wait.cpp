#include "notp-client/decision/durable_wait.hpp"

#include <atomic>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace notp::decision {

namespace asio = boost::asio;

namespace {

// Calls a handler once, on its executor: for the log or for a cancellation, whichever comes first.
template <typename Handler>
class Waiter {
 public:
  explicit Waiter(Handler handler)
      : home_(asio::make_work_guard(asio::get_associated_executor(handler))),
        handler_(std::move(handler)) {}

  static void finish(const std::shared_ptr<Waiter>& self, Result<void> result) {
    if (self->is_finished_.exchange(true)) return;
    asio::post(self->home_.get_executor(), [self, result = std::move(result)]() mutable {
      asio::get_associated_cancellation_slot(self->handler_).clear();
      self->home_.reset();
      Handler handler = std::move(self->handler_);
      std::move(handler)(std::move(result));
    });
  }

 private:
  asio::executor_work_guard<asio::associated_executor_t<Handler>> home_;
  Handler handler_;
  std::atomic<bool> is_finished_ = false;
};

}  // namespace

Error not_awaited() {
  return {ErrorCode::kCancelled, "the caller did not wait for the record of its decision", {}};
}

asio::awaitable<Result<void>> when_durable(spool::DecisionLog& log, record::Position position) {
  auto start = [&log, position](auto handler) {
    auto slot = asio::get_associated_cancellation_slot(handler);
    auto waiter = std::make_shared<Waiter<decltype(handler)>>(std::move(handler));
    using Kept = typename decltype(waiter)::element_type;
    if (slot.is_connected())
      slot.assign([waiter](asio::cancellation_type) {
        Kept::finish(waiter, std::unexpected(not_awaited()));
      });
    log.when_durable(position,
                     [waiter](Result<void> result) { Kept::finish(waiter, std::move(result)); });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<void>)>(
      std::move(start), asio::use_awaitable);
}

}  // namespace notp::decision
