#include "protocol/serve/handshake_turns.hpp"

#include <algorithm>
#include <utility>

namespace notp::serve {

HandshakeTurns::Ticket HandshakeTurns::arrive(std::string address, TimeMs now_ms) {
  const Ticket ticket = next_++;
  places_.emplace(ticket, Place{.address = std::move(address)});
  silent_.emplace(ticket, now_ms);
  return ticket;
}

void HandshakeTurns::has_sent(Ticket ticket) {
  const auto place = places_.find(ticket);
  if (place == places_.end() || place->second.stage != Stage::kSilent) return;
  silent_.erase(ticket);
  place->second.stage = Stage::kReady;
  ++ready_count_;
  auto& queue = queues_[place->second.address];
  if (queue.empty()) turns_.push_back(place->second.address);
  queue.push_back(ticket);
}

std::optional<HandshakeTurns::Ticket> HandshakeTurns::begin_next(TimeMs now_ms) {
  while (!is_full() && !turns_.empty()) {
    const auto queue = queues_.find(turns_.front());
    const Ticket ticket = queue->second.front();
    queue->second.pop_front();
    if (queue->second.empty()) {
      queues_.erase(queue);
      turns_.pop_front();
    } else {
      turns_.splice(turns_.end(), turns_, turns_.begin());
    }
    const auto place = places_.find(ticket);
    if (place == places_.end()) continue;
    --ready_count_;
    place->second.stage = Stage::kUnderWay;
    place->second.begun = next_begun_++;
    under_way_.emplace(place->second.begun, std::pair(ticket, now_ms));
    return ticket;
  }
  return std::nullopt;
}

void HandshakeTurns::end(Ticket ticket) {
  const auto place = places_.find(ticket);
  if (place == places_.end()) return;
  if (place->second.stage == Stage::kSilent) silent_.erase(ticket);
  if (place->second.stage == Stage::kReady) --ready_count_;
  if (place->second.stage == Stage::kUnderWay) under_way_.erase(place->second.begun);
  places_.erase(place);
}

std::optional<HandshakeTurns::Ticket> HandshakeTurns::give_way(const std::string& newcomer) {
  Ticket gone = 0;
  if (!silent_.empty()) {
    gone = silent_.begin()->first;
  } else {
    const auto longest = std::ranges::max_element(
        queues_, {}, [](const auto& queue) { return queue.second.size(); });
    const auto own = queues_.find(newcomer);
    const size_t own_size = own == queues_.end() ? 0 : own->second.size();
    if (longest == queues_.end() || longest->second.size() <= own_size + 1) return std::nullopt;
    gone = longest->second.back();
    longest->second.pop_back();
  }
  end(gone);
  return gone;
}

std::vector<HandshakeTurns::Ticket> HandshakeTurns::take_silent(TimeMs now_ms) {
  std::vector<Ticket> gone;
  while (!silent_.empty() && now_ms - silent_.begin()->second >= limits_.silent_ms) {
    gone.push_back(silent_.begin()->first);
    end(gone.back());
  }
  return gone;
}

std::optional<HandshakeTurns::Ticket> HandshakeTurns::displace(TimeMs now_ms) {
  if (!has_ready() || !is_full()) return std::nullopt;
  const auto [oldest, since_ms] = under_way_.begin()->second;
  if (now_ms - since_ms < limits_.grace_ms) return std::nullopt;
  end(oldest);
  return oldest;
}

TimeMs HandshakeTurns::next_deadline() const {
  TimeMs deadline = kNever;
  if (!silent_.empty()) deadline = silent_.begin()->second + limits_.silent_ms;
  if (has_ready() && is_full())
    deadline = std::min(deadline, under_way_.begin()->second.second + limits_.grace_ms);
  return deadline;
}

}  // namespace notp::serve
