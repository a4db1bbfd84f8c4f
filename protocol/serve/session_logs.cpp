#include "protocol/serve/session_logs.hpp"

#include <boost/asio/post.hpp>
#include <optional>
#include <utility>

#include "common/log.hpp"
#include "common/spawn.hpp"

namespace notp::serve {

namespace asio = boost::asio;

void SessionLogs::take(Work work) {
  if (intake_ == nullptr) return;
  work_.push_back(std::move(work));
  if (!std::exchange(is_taking_in_, true)) spawn(place_.thread->executor(), take_in());
}

// What is left when the session ends, or its log is refused, is not stored: the node sends it
// again.
asio::awaitable<void> SessionLogs::take_in() {
  const auto host = place_.host.lock();
  session::ServerSession& session = *place_.session;
  while (!work_.empty() && !session.is_closed()) {
    Work work = std::move(work_.front());
    work_.pop_front();
    const auto* const offered = std::get_if<session::server_event::LogOffered>(&work);
    const auto offer = offered ? std::optional(offered->offer) : std::nullopt;
    const wire::LogGrant grant = co_await take_in(std::move(work));
    if (grant.code != 0) {
      work_.clear();
      log::write(log::Level::kError, "log_refused",
                 Error(error_code_from_wire(grant.code), grant.message, {}),
                 {{"identity", place_.peer->name}, {"log", grant.log.hex()}, {"next", grant.next}});
    }
    session.log_granted(grant);
    if (offer && grant.code == 0) intake_->granted(place_.peer, *offer, receipt_sender());
    place_.progress();
  }
  work_.clear();
  is_taking_in_ = false;
}

asio::awaitable<wire::LogGrant> SessionLogs::take_in(Work work) {
  if (auto* offered = std::get_if<session::server_event::LogOffered>(&work))
    co_return co_await intake_->offered(place_.peer, offered->offer);
  if (auto* announced = std::get_if<session::server_event::LogAnnounced>(&work))
    co_return co_await intake_->announced(place_.peer, announced->log,
                                          std::move(announced->announcement));
  auto& arrived = std::get<session::server_event::SegmentArrived>(work);
  co_return co_await intake_->arrived(place_.peer, std::move(arrived.segment),
                                      std::move(arrived.body));
}

// --- receipts

LogIntake::SendReceipt SessionLogs::receipt_sender() {
  return [this, host = place_.host,
          executor = place_.thread->executor()](const wire::LogReceipt& receipt) {
    if (host.expired()) return false;
    asio::post(executor, [this, host, receipt] {
      if (const auto open = host.lock()) send(receipt);
    });
    return true;
  };
}

void SessionLogs::send(const wire::LogReceipt& receipt) {
  place_.session->log_receipt(receipt);
  place_.progress();
}

void SessionLogs::take(session::server_event::WitnessArrived& event) {
  if (intake_ != nullptr) intake_->witnessed(place_.peer, std::move(event.witness));
}

}  // namespace notp::serve
