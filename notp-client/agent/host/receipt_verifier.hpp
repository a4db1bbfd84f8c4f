// Verifies the receipts that a registry sends for the node's log, one at a time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "common/clock.hpp"
#include "notp-client/spool/segment_source.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/transport/offload.hpp"

namespace notp::agent {

// From one receipt that is verified to the next: a registry sends one a seal of its tree.
inline constexpr TimeMs kReceiptMs = 1'000;

// All methods run on the executor's thread, which also calls the handlers. A receipt is verified
// and kept on a thread of `worker`.
class ReceiptVerifier {
 public:
  struct Handlers {
    std::function<void()> answered;  // the session has something to send, the log knows more
    std::function<Now()> clock = read_clock;
  };
  // `log` and `worker` outlive this object.
  ReceiptVerifier(boost::asio::any_io_executor executor, spool::SegmentSource& log,
                  transport::OffloadPool& worker, Handlers handlers);

  // `session` lives until session_ended(); `registry`: whom it has authenticated.
  void session_begins(session::ClientSession& session, spool::ReceiptPeer registry);
  void session_ended();
  // A receipt arrived; the answer is sent when it is verified and kept. One that comes while
  // another is verified, or less than kReceiptMs after it, or that the disk cannot keep, waits,
  // until a newer one takes its place.
  void take(const wire::LogReceipt& receipt);
  // Nothing is verified while the log is replaced by another one.
  void pause() { paused_ = true; }
  void resume();

 private:
  void verify_next();
  static boost::asio::awaitable<void> verify(std::weak_ptr<ReceiptVerifier*> self,
                                             uint64_t session_number, wire::LogReceipt receipt);
  void answer(uint64_t session_number, const wire::LogWitness& witness);

  const boost::asio::any_io_executor executor_;
  spool::SegmentSource& log_;
  transport::OffloadPool& worker_;
  const Handlers handlers_;
  session::ClientSession* session_ = nullptr;
  uint64_t session_number_ = 0;  // tells a receipt whose session has ended
  spool::ReceiptPeer registry_;
  std::optional<wire::LogReceipt> waiting_;
  bool verifying_ = false, paused_ = false;
  TimeMs next_ms_ = 0;  // boot time
  boost::asio::steady_timer timer_;
  std::shared_ptr<ReceiptVerifier*> self_;  // ends with this object, which its work may outlive
};

}  // namespace notp::agent
