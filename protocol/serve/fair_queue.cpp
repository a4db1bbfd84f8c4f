#include "protocol/serve/fair_queue.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::serve {

int64_t FairQueue::spent(const Entry& entry, TimeMs now_ms) const {
  const int64_t back_ms =
      (now_ms - entry.spent_at_ms) / std::max<int64_t>(limits_.refill_factor, 1);
  return std::max<int64_t>(entry.spent_ms - std::max<int64_t>(back_ms, 0), 0);
}

bool FairQueue::is_ready(const Entry& entry) const {
  return !entry.waiting.empty() && entry.running < limits_.running_per_key_max;
}

std::optional<Error> FairQueue::check_room(const std::string& key, const Entry& entry,
                                           TimeMs now_ms) const {
  if (entry.waiting.size() >= limits_.waiting_per_key_max)
    return Error{ErrorCode::kOverloaded,
                 fmt::format("{} {} of {} wait already; try again when they are done",
                             entry.waiting.size(), what_, key),
                 {}};
  const int64_t over_ms = spent(entry, now_ms) - limits_.budget_ms;
  if (limits_.budget_ms == 0 || over_ms < 0) return std::nullopt;
  return Error{ErrorCode::kOverloaded,
               fmt::format("{} has used its {} s of {}; try again in {} s, or make them quicker",
                           key, limits_.budget_ms / 1'000, what_,
                           (over_ms + 1) * limits_.refill_factor / 1'000 + 1),
               {}};
}

std::optional<FairQueue::Refused> FairQueue::add(const std::string& key, Job job, TimeMs now_ms) {
  if (!entries_.contains(key)) make_room_for_key(now_ms);
  const auto place = entries_.try_emplace(key).first;
  Entry& entry = place->second;
  if (auto error = check_room(key, entry, now_ms)) {
    forget(place, now_ms);
    return Refused{std::move(job), *std::move(error)};
  }
  std::optional<Refused> gives_way;
  if (waiting_ >= limits_.waiting_max) {
    const auto longest = std::ranges::max_element(
        entries_, {}, [](const auto& each) { return each.second.waiting.size(); });
    Error error{ErrorCode::kOverloaded,
                fmt::format("{} {} wait here already; try again later", waiting_, what_),
                {}};
    // With one more it would be the longest itself.
    if (longest->second.waiting.size() <= entry.waiting.size() + 1) {
      forget(place, now_ms);
      return Refused{std::move(job), std::move(error)};
    }
    gives_way.emplace(std::move(longest->second.waiting.back()), std::move(error));
    longest->second.waiting.pop_back();
    --waiting_;
  }
  if (entry.waiting.empty() && entry.running == 0)
    entry.used_ms = std::max(entry.used_ms, level_ms_);
  entry.waiting.push_back(std::move(job));
  ++waiting_;
  if (is_ready(entry)) ready_.emplace(entry.used_ms, key);
  return gives_way;
}

std::optional<FairQueue::Next> FairQueue::take() {
  if (running_ >= limits_.running_max || ready_.empty()) return std::nullopt;
  const auto place = entries_.find(ready_.begin()->second);
  ready_.erase(ready_.begin());
  Entry& entry = place->second;
  Next next{place->first, std::move(entry.waiting.front())};
  entry.waiting.pop_front();
  level_ms_ = std::max(level_ms_, entry.used_ms);
  ++entry.used_ms;  // so that work without measurable time takes turns, too
  ++entry.running;
  --waiting_;
  ++running_;
  if (is_ready(entry)) ready_.emplace(entry.used_ms, place->first);
  return next;
}

void FairQueue::done(const std::string& key, int64_t took_ms, TimeMs now_ms) {
  const auto place = entries_.find(key);
  Entry& entry = place->second;
  if (is_ready(entry)) ready_.erase({entry.used_ms, key});
  entry.spent_ms = spent(entry, now_ms) + std::max<int64_t>(took_ms, 0);
  entry.spent_at_ms = now_ms;
  entry.used_ms += std::max<int64_t>(took_ms, 0);
  --entry.running;
  --running_;
  if (is_ready(entry)) ready_.emplace(entry.used_ms, key);
  forget(place, now_ms);
}

std::vector<FairQueue::Job> FairQueue::clear() {
  std::vector<Job> out;
  for (auto& [key, entry] : entries_) {
    std::ranges::move(entry.waiting, std::back_inserter(out));
    entry.waiting.clear();
  }
  ready_.clear();
  waiting_ = 0;
  return out;
}

// Forgets a key without relevant state.
void FairQueue::forget(Entries::iterator place, TimeMs now_ms) {
  const Entry& entry = place->second;
  const bool owes = limits_.budget_ms != 0 && spent(entry, now_ms) > 0;
  if (entry.waiting.empty() && entry.running == 0 && entry.used_ms <= level_ms_ && !owes)
    entries_.erase(place);
}

void FairQueue::make_room_for_key(TimeMs now_ms) {
  if (entries_.size() < limits_.keys_max) return;
  auto least = entries_.end();
  int64_t least_ms = 0;
  for (auto place = entries_.begin(); place != entries_.end();) {
    const auto each = place++;
    if (!each->second.waiting.empty() || each->second.running != 0) continue;
    const int64_t spent_ms = limits_.budget_ms == 0 ? 0 : spent(each->second, now_ms);
    if (spent_ms == 0) {
      if (least == each) least = entries_.end();
      entries_.erase(each);
    } else if (least == entries_.end() || spent_ms < least_ms) {
      least = each;
      least_ms = spent_ms;
    }
  }
  if (entries_.size() >= limits_.keys_max && least != entries_.end()) entries_.erase(least);
}

}  // namespace notp::serve
