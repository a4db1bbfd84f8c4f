#include "notp-client/agent/host/receipt_verifier.hpp"

#include <chrono>
#include <utility>

#include "common/log.hpp"
#include "common/spawn.hpp"

namespace notp::agent {

namespace asio = boost::asio;

ReceiptVerifier::ReceiptVerifier(asio::any_io_executor executor, spool::SegmentSource& log,
                                 transport::OffloadPool& worker, Handlers handlers)
    : executor_(executor),
      log_(log),
      worker_(worker),
      handlers_(std::move(handlers)),
      timer_(executor),
      self_(std::make_shared<ReceiptVerifier*>(this)) {}

void ReceiptVerifier::session_begins(session::ClientSession& session, spool::ReceiptPeer registry) {
  session_ = &session;
  ++session_number_;
  registry_ = std::move(registry);
}

void ReceiptVerifier::session_ended() {
  session_ = nullptr;
  waiting_.reset();
  timer_.cancel();
}

void ReceiptVerifier::take(const wire::LogReceipt& receipt) {
  if (!session_) return;
  waiting_ = receipt;
  verify_next();
}

void ReceiptVerifier::resume() {
  paused_ = false;
  verify_next();
}

void ReceiptVerifier::verify_next() {
  if (!waiting_ || !session_ || verifying_ || paused_) return;
  const TimeMs now_ms = handlers_.clock().boot_ms;
  if (now_ms < next_ms_) {
    timer_.expires_after(std::chrono::milliseconds(next_ms_ - now_ms));
    return timer_.async_wait([weak = std::weak_ptr(self_)](boost::system::error_code error) {
      const auto self = weak.lock();
      if (!error && self) (*self)->verify_next();
    });
  }
  next_ms_ = now_ms + kReceiptMs;
  verifying_ = true;
  spawn(executor_, verify(self_, session_number_, *std::exchange(waiting_, std::nullopt)));
}

// This object may be gone before the first step, and while the receipt is verified.
asio::awaitable<void> ReceiptVerifier::verify(std::weak_ptr<ReceiptVerifier*> self,
                                              uint64_t session_number, wire::LogReceipt receipt) {
  if (self.expired()) co_return;
  ReceiptVerifier& verifier = **self.lock();
  const auto witness = co_await transport::offload(
      verifier.worker_, [&log = verifier.log_, receipt, peer = verifier.registry_,
                         wall_ms = verifier.handlers_.clock().wall_ms] {
        return log.witness(receipt, peer, wall_ms);
      });
  if (self.expired()) co_return;
  verifier.verifying_ = false;
  const bool is_same = session_number == verifier.session_number_ && verifier.session_;
  if (witness) {
    verifier.answer(session_number, *witness);
  } else {
    log::write(log::Level::kWarn, "receipt_not_kept", witness.error());
    if (is_same && !verifier.waiting_ && witness.error().code == ErrorCode::kIo)
      verifier.waiting_ = std::move(receipt);
  }
  verifier.verify_next();
}

void ReceiptVerifier::answer(uint64_t session_number, const wire::LogWitness& witness) {
  if (witness.code != 0)
    log::write(log::Level::kError, "receipt_refused",
               Error{error_code_from_wire(witness.code), witness.message, {}},
               {{"registry", registry_.registry}, {"log", witness.log.hex()}});
  if (session_ && session_number == session_number_ && !session_->is_closed())
    session_->witness(witness);
  if (handlers_.answered) handlers_.answered();
}

}  // namespace notp::agent
