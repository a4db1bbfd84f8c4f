#include "notp-client/lane/core/lane_asks.hpp"

#include <algorithm>

#include "notp-client/lane/lane_limits.hpp"

namespace notp::lane {

std::optional<AskOutcome> LaneAsks::ask(const feed::TokenId& id, bool may_ask, TimeMs boot_ms) {
  if (const auto held = held_.find(id); held != held_.end() && boot_ms < held->second) {
    const bool is_decided = std::ranges::find(undecided_, id, [](const auto& each) -> const auto& {
                              return each.second;
                            }) == undecided_.end();
    return is_decided ? std::optional(AskOutcome::kKnown) : std::nullopt;
  }
  if (const auto unknown = unknown_.find(id);
      unknown != unknown_.end() && boot_ms < unknown->second)
    return AskOutcome::kUnknown;
  if (open_.contains(id)) return std::nullopt;
  if (!may_ask || open_.size() >= limits::kLaneAsksOpenMax) {
    ++unanswered_;
    return AskOutcome::kNotAsked;
  }
  const TimeMs until_ms = boot_ms + limits::kLaneUnansweredMs;
  open_.emplace(id, until_ms);
  open_order_.emplace_back(until_ms, id);
  unsent_.push_back(id);
  ++asked_;
  return std::nullopt;
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
  if (open_.erase(id) == 0) return;
  resolved_.emplace_back(id, AskOutcome::kUnknown);
  for (; unknown_order_.size() >= limits::kLaneUnknownMax; unknown_order_.pop_front())
    unknown_.erase(unknown_order_.front().second);
  const TimeMs until_ms = boot_ms + limits::kLaneUnknownMs;
  unknown_.insert_or_assign(id, until_ms);
  unknown_order_.emplace_back(until_ms, id);
}

std::vector<feed::TokenId> LaneAsks::on_known(const feed::TokenId& id, uint64_t number,
                                              TimeMs end_ms) {
  open_.erase(id);
  release(id);
  std::vector<feed::TokenId> evicted;
  if (held_.size() >= limits::kLaneHeldMax) {
    evicted.push_back(held_order_.begin()->second);
    release(evicted.back());
  }
  held_.emplace(id, end_ms);
  held_order_.emplace(end_ms, id);
  undecided_.emplace_back(number, id);
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
    resolved_.emplace_back(undecided_.front().second, AskOutcome::kKnown);
    undecided_.pop_front();
  }
}

void LaneAsks::on_disconnected() {
  for (const auto& [id, until_ms] : open_) resolved_.emplace_back(id, AskOutcome::kNotAsked);
  unanswered_ += open_.size();
  open_.clear();
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
    if (open == open_.end() || open->second > boot_ms) continue;
    resolved_.emplace_back(open->first, AskOutcome::kNotAsked);
    ++unanswered_;
    open_.erase(open);
  }
  for (; !unknown_order_.empty() && unknown_order_.front().first <= boot_ms;
       unknown_order_.pop_front()) {
    const auto unknown = unknown_.find(unknown_order_.front().second);
    if (unknown != unknown_.end() && unknown->second <= boot_ms) unknown_.erase(unknown);
  }
}

}  // namespace notp::lane
