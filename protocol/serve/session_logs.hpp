// The part of one session in the logs of decisions: what arrives goes to the intake, its grants and
// receipts to the peer.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <list>
#include <memory>
#include <variant>

#include "protocol/serve/io_thread.hpp"
#include "protocol/serve/log_intake.hpp"
#include "protocol/session/server/server_session.hpp"

namespace notp::serve {

// Steps of a log go to the intake one after the other, in the order in which they arrived. Used on
// the session's I/O thread.
class SessionLogs {
 public:
  using Work = std::variant<session::server_event::LogOffered, session::server_event::LogAnnounced,
                            session::server_event::SegmentArrived>;
  // Where the session lives. All but `host` belong to the host.
  struct Place {
    session::ServerSession* session = nullptr;
    PeerPtr peer;
    IoThread* thread = nullptr;
    std::weak_ptr<void> host;
    std::function<void()> progress;  // after each call into the session
  };

  // `intake` outlives it; null: nothing is taken in.
  explicit SessionLogs(LogIntake* intake) : intake_(intake) {}

  // The session begins.
  void begin(Place place) { place_ = std::move(place); }
  void take(Work work);
  void take(session::server_event::WitnessArrived& event);

 private:
  boost::asio::awaitable<void> take_in();
  boost::asio::awaitable<wire::LogGrant> take_in(Work work);
  LogIntake::SendReceipt receipt_sender();
  void send(const wire::LogReceipt& receipt);

  LogIntake* const intake_;
  Place place_;
  std::list<Work> work_;  // the session's window bounds it
  bool is_taking_in_ = false;
};

}  // namespace notp::serve
