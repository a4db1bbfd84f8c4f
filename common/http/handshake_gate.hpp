// Schedules TLS handshakes: one step at a time, the addresses in turn, so that floods of handshakes
// delay neither requests of connected clients nor the handshakes of other addresses.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "common/http/message.hpp"
#include "common/mutex.hpp"

namespace notp::http {

// Thread-safe.
class HandshakeGate {
 public:
  explicit HandshakeGate(size_t per_address_max) : per_address_max_(per_address_max) {}

  // Returns the address that a peer's handshakes are counted by: for IPv6 a /64.
  static std::string key_of(const Peer& peer);

  // Registers a handshake; false when that address has too many of them under way.
  bool arrive(const std::string& key);
  void depart(const std::string& key);

  // Waits for a turn, which ends with leave(). `wake` belongs to the caller's strand; when it is
  // cancelled, `closed` indicates that the wait is over, without a turn.
  boost::asio::awaitable<bool> enter(const std::string& key,
                                     std::shared_ptr<boost::asio::steady_timer> wake,
                                     const bool& closed);
  void leave();

 private:
  struct Waiter {
    std::shared_ptr<boost::asio::steady_timer> wake;
    bool granted = false;
    bool left = false;
  };
  using WaiterPtr = std::shared_ptr<Waiter>;

  WaiterPtr next() NOTP_REQUIRES(mutex_);

  const size_t per_address_max_;
  Mutex mutex_;
  bool busy_ NOTP_GUARDED_BY(mutex_) = false;
  std::map<std::string, size_t> under_way_ NOTP_GUARDED_BY(mutex_);
  std::map<std::string, std::deque<WaiterPtr>> waiting_ NOTP_GUARDED_BY(mutex_);
  std::list<std::string> turns_ NOTP_GUARDED_BY(mutex_);  // the keys of waiting_
};

}  // namespace notp::http
