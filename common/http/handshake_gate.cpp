#include "common/http/handshake_gate.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace notp::http {
namespace asio = boost::asio;

std::string HandshakeGate::key_of(const Peer& peer) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address_v6(peer.address, error);
  if (error) return peer.address;
  constexpr size_t kPrefixBytes = 8;
  const auto bytes = address.to_bytes();
  return {reinterpret_cast<const char*>(bytes.data()), kPrefixBytes};
}

bool HandshakeGate::arrive(const std::string& key) {
  const MutexLock guard(mutex_);
  size_t& count = under_way_[key];
  if (count >= per_address_max_) return false;
  ++count;
  return true;
}

void HandshakeGate::depart(const std::string& key) {
  const MutexLock guard(mutex_);
  if (--under_way_[key] == 0) under_way_.erase(key);
}

asio::awaitable<bool> HandshakeGate::enter(const std::string& key,
                                           std::shared_ptr<asio::steady_timer> wake,
                                           const bool& closed) {
  const auto waiter = std::make_shared<Waiter>(wake);
  {
    const MutexLock guard(mutex_);
    if (!busy_) {
      busy_ = true;
      co_return true;
    }
    auto& queue = waiting_[key];
    if (queue.empty()) turns_.push_back(key);
    queue.push_back(waiter);
  }
  while (true) {
    wake->expires_at(asio::steady_timer::time_point::max());
    {
      // A wake-up before this wait would be lost: it is posted to this strand, so it either has
      // run, and the answer is here, or it finds the wait.
      const MutexLock guard(mutex_);
      if (waiter->granted) co_return true;
      if (closed) {
        waiter->left = true;
        co_return false;
      }
    }
    co_await wake->async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

HandshakeGate::WaiterPtr HandshakeGate::next() {
  while (!turns_.empty()) {
    const std::string key = std::move(turns_.front());
    turns_.pop_front();
    const auto queue = waiting_.find(key);
    WaiterPtr first = std::move(queue->second.front());
    queue->second.pop_front();
    if (queue->second.empty())
      waiting_.erase(queue);
    else
      turns_.push_back(key);
    if (!first->left) return first;
  }
  return nullptr;
}

void HandshakeGate::leave() {
  const MutexLock guard(mutex_);
  const WaiterPtr waiter = next();
  busy_ = waiter != nullptr;
  if (!waiter) return;
  waiter->granted = true;
  asio::post(waiter->wake->get_executor(), [waiter] { waiter->wake->cancel(); });
}

}  // namespace notp::http
