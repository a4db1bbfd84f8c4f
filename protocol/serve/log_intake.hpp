// The port through which the sessions of a server hand over the logs of decisions.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "protocol/serve/session_services.hpp"
#include "protocol/wire/messages/decision_log.hpp"

namespace notp::serve {

// Thread-safe; the coroutines resume on their caller's executor, and end before the I/O threads do.
// Each returns the grant that the session sends; an error is in its code, phrased for a peer.
class LogIntake {
 public:
  virtual ~LogIntake() = default;
  // A session of the peer offers its log.
  virtual boost::asio::awaitable<wire::LogGrant> offered(PeerPtr peer, wire::LogOffer offer) = 0;
  // After a grant with `announce`.
  virtual boost::asio::awaitable<wire::LogGrant> announced(PeerPtr peer, record::LogId log,
                                                           Bytes announcement) = 0;
  // A segment with its whole body. The grant comes after its commit.
  virtual boost::asio::awaitable<wire::LogGrant> arrived(PeerPtr peer, wire::Segment segment,
                                                         Bytes body) = 0;

  // Hands a receipt to the session, on any thread, without blocking. False: the session is over.
  using SendReceipt = std::function<bool(const wire::LogReceipt&)>;
  // The grant of an offer, without an error, was sent: from now on the session takes receipts of
  // the log. Must not block; so that a registry without a tree sends none, it does nothing here.
  virtual void granted(PeerPtr, const wire::LogOffer&, SendReceipt) {}
  // The peer's answer to a receipt. Must not block.
  virtual void witnessed(PeerPtr, wire::LogWitness) {}
};

}  // namespace notp::serve
