#include "notp-client/lane/core/lane_asks.hpp"

#include <algorithm>

#include "notp-client/lane/lane_limits.hpp"

namespace notp::lane {

std::optional<AskOutcome> LaneAsks::ask(const feed::TokenId& id, const std::string& caller,
                                        bool may_ask, TimeMs boot_ms) {
  if (const auto held = held_.find(id); held != held_.end() && boot_ms < held->second)
    return deciding_.contains(id) ? std::nullopt : std::optional(AskOutcome::kKnown);
  if (const auto unknown = unknown_.find(id);
      unknown != unknown_.end() && boot_ms < unknown->second)
    return AskOutcome::kUnknown;
  if (open_.contains(id)) return std::nullopt;
  if (!may_ask || !has_room(caller)) {
    ++unanswered_;
    return AskOutcome::kNotAsked;
  }
  const TimeMs until_ms = boot_ms + limits::kLaneUnansweredMs;
  open_.emplace(id, Open{until_ms, caller});
  ++open_of_[caller];
  open_order_.emplace_back(until_ms, id);
  unsent_.push_back(id);
  ++asked_;
  return std::nullopt;
}

// A caller has at most as many open as are left for others: alone a half, beside another one a
// third (dynamic thresholds, as switches share their buffers). So there is always room for who has
// none.
bool LaneAsks::has_room(const std::string& caller) const {
  const auto own = open_of_.find(caller);
  return (own == open_of_.end() ? 0 : own->second) + open_.size() < limits::kLaneAsksOpenMax;
}

bool LaneAsks::close(const feed::TokenId& id) {
  const auto open = open_.find(id);
  if (open == open_.end()) return false;
  const auto own = open_of_.find(open->second.caller);
  if (--own->second == 0) open_of_.erase(own);
  open_.erase(open);
  return true;
}

std::optional<wire::LaneAsk> LaneAsks::take_frame(TimeMs boot_ms) {
  if (unsent_.empty() || boot_ms < free_ms_) return std::nullopt;
  wire::LaneAsk ask;
  while (!unsent_.empty() && ask.ids.size() < limits::kLaneAskIdsMax) {
    ask.ids.push_back(unsent_.front());
    unsent_.pop_front();
  }
  free_ms_ = boot_ms + limits::kLaneAskGatherMs;
  return ask;
}

void LaneAsks::on_unknown(const feed::TokenId& id, TimeMs boot_ms) {
  if (!close(id)) return;
  resolved_.emplace_back(id, AskOutcome::kUnknown);
  for (; unknown_order_.size() >= limits::kLaneUnknownMax; unknown_order_.pop_front())
    unknown_.erase(unknown_order_.front().second);
  const TimeMs until_ms = boot_ms + limits::kLaneUnknownMs;
  unknown_.insert_or_assign(id, until_ms);
  unknown_order_.emplace_back(until_ms, id);
}

std::vector<feed::TokenId> LaneAsks::on_known(const feed::TokenId& id, uint64_t number,
                                              TimeMs end_ms) {
  close(id);
  release(id);
  std::vector<feed::TokenId> evicted;
  if (held_.size() >= limits::kLaneHeldMax) {
    evicted.push_back(held_order_.begin()->second);
    release(evicted.back());
  }
  held_.emplace(id, end_ms);
  held_order_.emplace(end_ms, id);
  undecided_.emplace_back(number, id);
  deciding_.insert_or_assign(id, number);
  return evicted;
}

void LaneAsks::release(const feed::TokenId& id) {
  const auto held = held_.find(id);
  if (held == held_.end()) return;
  held_order_.erase({held->second, id});
  held_.erase(held);
}

void LaneAsks::on_decided(uint64_t number) {
  while (!undecided_.empty() && undecided_.front().first <= number) {
    const auto& [taken, id] = undecided_.front();
    resolved_.emplace_back(id, AskOutcome::kKnown);
    if (const auto newest = deciding_.find(id); newest->second == taken) deciding_.erase(newest);
    undecided_.pop_front();
  }
}

void LaneAsks::on_disconnected() {
  for (const auto& [id, open] : open_) resolved_.emplace_back(id, AskOutcome::kNotAsked);
  unanswered_ += open_.size();
  open_.clear();
  open_of_.clear();
  open_order_.clear();
  unsent_.clear();
}

std::vector<feed::TokenId> LaneAsks::take_held() {
  std::vector<feed::TokenId> held;
  for (const auto& [end_ms, id] : held_order_) held.push_back(id);
  held_.clear();
  held_order_.clear();
  return held;
}

std::vector<feed::TokenId> LaneAsks::take_ended(TimeMs boot_ms) {
  std::vector<feed::TokenId> ended;
  while (!held_order_.empty() && held_order_.begin()->first <= boot_ms) {
    ended.push_back(held_order_.begin()->second);
    release(ended.back());
  }
  return ended;
}

TimeMs LaneAsks::next_deadline() const {
  TimeMs next_ms = unsent_.empty() ? kNever : free_ms_;
  if (!open_order_.empty()) next_ms = std::min(next_ms, open_order_.front().first);
  if (!held_order_.empty()) next_ms = std::min(next_ms, held_order_.begin()->first);
  if (!unknown_order_.empty()) next_ms = std::min(next_ms, unknown_order_.front().first);
  return next_ms;
}

void LaneAsks::on_deadline(TimeMs boot_ms) {
  for (; !open_order_.empty() && open_order_.front().first <= boot_ms; open_order_.pop_front()) {
    const auto open = open_.find(open_order_.front().second);
    // It may have been answered, and asked for again.
    if (open == open_.end() || open->second.until_ms > boot_ms) continue;
    resolved_.emplace_back(open->first, AskOutcome::kNotAsked);
    ++unanswered_;
    close(open_order_.front().second);
  }
  for (; !unknown_order_.empty() && unknown_order_.front().first <= boot_ms;
       unknown_order_.pop_front()) {
    const auto unknown = unknown_.find(unknown_order_.front().second);
    if (unknown != unknown_.end() && unknown->second <= boot_ms) unknown_.erase(unknown);
  }
}

}  // namespace notp::lane
