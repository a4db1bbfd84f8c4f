#include "protocol/serve/handshake_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/host_port.hpp"
#include "common/log.hpp"

namespace notp::serve {
namespace {

std::string text_of(const HandshakeQueue::Socket& socket) {
  boost::system::error_code gone;
  const auto peer = socket.remote_endpoint(gone);
  return gone ? "" : HostPort{peer.address().to_string(), peer.port()}.text();
}

}  // namespace

HandshakeQueue::HandshakeQueue(boost::asio::io_context& context, Admission& admission,
                               ServeCounters& counters, HandshakeTurnLimits limits, Begin begin)
    : admission_(admission),
      counters_(counters),
      begin_(std::move(begin)),
      turns_(limits),
      timer_(context) {}

void HandshakeQueue::add(Socket socket, std::string address) {
  if (is_closed_) return admission_.connection_ended();
  if (!admission_.may_wait()) {
    const auto other = turns_.give_way(address);
    if (!other) {
      ++counters_.sessions_refused;
      return admission_.connection_ended();
    }
    ++counters_.handshakes_displaced;
    drop(*other);
  }
  const Ticket ticket = turns_.arrive(std::move(address), read_clock().boot_ms);
  ++counters_.waiting;
  const auto kept = waiting_.emplace(ticket, std::move(socket)).first;
  kept->second.async_wait(Socket::wait_read, [this, ticket](boost::system::error_code error) {
    if (!error) on_readable(ticket);
  });
  arm();
}

void HandshakeQueue::on_readable(Ticket ticket) {
  turns_.has_sent(ticket);
  go_on();
}

void HandshakeQueue::ended(Ticket ticket) {
  turns_.end(ticket);
  under_way_.erase(ticket);
  go_on();
}

void HandshakeQueue::go_on() {
  while (const auto ticket = turns_.begin_next(read_clock().boot_ms))
    under_way_[*ticket] = begin_(take(*ticket), *ticket);
  arm();
}

void HandshakeQueue::on_deadline() {
  const TimeMs now_ms = read_clock().boot_ms;
  for (const Ticket ticket : turns_.take_silent(now_ms)) {
    ++counters_.handshakes_refused;
    const std::string peer = text_of(waiting_.at(ticket));
    log::write(log::Level::kWarn, "handshake_refused",
               Error{ErrorCode::kTimeout, fmt::format("{} sent nothing in time", peer), {}},
               {{"peer", peer}});
    drop(ticket);
  }
  while (const auto oldest = turns_.displace(now_ms)) {
    ++counters_.handshakes_displaced;
    const auto end = std::move(under_way_.extract(*oldest).mapped());
    end();
    go_on();
  }
  arm();
}

// A timer that is armed too early only causes one extra wake-up.
void HandshakeQueue::arm() {
  const TimeMs deadline_ms = turns_.next_deadline();
  if (deadline_ms >= armed_ms_) return;
  armed_ms_ = deadline_ms;
  timer_.expires_after(
      std::chrono::milliseconds(std::max<TimeMs>(0, deadline_ms - read_clock().boot_ms)));
  timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    armed_ms_ = kNever;
    on_deadline();
  });
}

HandshakeQueue::Socket HandshakeQueue::take(Ticket ticket) {
  --counters_.waiting;
  return std::move(waiting_.extract(ticket).mapped());
}

void HandshakeQueue::drop(Ticket ticket) {
  boost::system::error_code ignored;
  take(ticket).close(ignored);
  admission_.connection_ended();
}

void HandshakeQueue::close() {
  is_closed_ = true;
  timer_.cancel();
  armed_ms_ = kNever;
  while (!waiting_.empty()) {
    const Ticket ticket = waiting_.begin()->first;
    turns_.end(ticket);
    drop(ticket);
  }
}

}  // namespace notp::serve
