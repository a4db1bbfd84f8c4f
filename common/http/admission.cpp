#include "common/http/admission.hpp"

#include <algorithm>

namespace notp::http {

bool Slot::enter(Phase phase, TimeMs now_ms, TimeMs deadline_ms) {
  Phase before = phase_.load();
  do {
    if (before == Phase::kEvicted) return false;
  } while (!phase_.compare_exchange_weak(before, phase));
  progress(now_ms, deadline_ms);
  return true;
}

void Slot::progress(TimeMs since_ms, TimeMs deadline_ms) {
  since_ms_.store(since_ms, std::memory_order_relaxed);
  deadline_ms_.store(deadline_ms, std::memory_order_relaxed);
}

bool Slot::evict(Phase from) {
  if (from == Phase::kEvicted || !phase_.compare_exchange_strong(from, Phase::kEvicted))
    return false;
  close_();
  return true;
}

bool Admission::admit(const SlotPtr& slot, TimeMs now_ms) {
  const MutexLock guard(mutex_);
  if (slots_.size() >= options_.connections_max && !evict(now_ms)) return false;
  slots_.insert(slot);
  return true;
}

void Admission::leave(const SlotPtr& slot) {
  release(*slot);
  const MutexLock guard(mutex_);
  slots_.erase(slot);
}

bool Admission::evict_one(TimeMs now_ms) {
  const MutexLock guard(mutex_);
  return evict(now_ms);
}

bool Admission::evict(TimeMs now_ms) {
  return evict_longest({Phase::kIdle, Phase::kClosing}, kNever, 0) ||
         evict_longest({Phase::kHandshake, Phase::kHeader}, kNever, 0) ||
         evict_longest({Phase::kBody, Phase::kWriting}, now_ms - options_.stalled_ms, 0);
}

bool Admission::evict_longest(std::initializer_list<Phase> phases, TimeMs before_ms,
                              uint64_t bytes_min) {
  // A connection may change its phase between the choice and the eviction: then it chooses again.
  while (true) {
    SlotPtr longest;
    Phase phase = Phase::kEvicted;
    TimeMs since_ms = before_ms;
    for (const SlotPtr& slot : slots_) {
      const Phase now = slot->phase();
      if (std::ranges::find(phases, now) == phases.end() || slot->since_ms() >= since_ms ||
          slot->bytes_held() < bytes_min)
        continue;
      longest = slot;
      phase = now;
      since_ms = slot->since_ms();
    }
    if (!longest) return false;
    if (!longest->evict(phase)) continue;
    slots_.erase(longest);
    release(*longest);
    evicted_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
}

bool Admission::fits(Slot& slot, uint64_t bytes) {
  uint64_t before = held_.load();
  do {
    if (before + bytes > bytes_max_.load()) return false;
  } while (!held_.compare_exchange_weak(before, before + bytes));
  slot.bytes_held_.fetch_add(bytes);
  return true;
}

bool Admission::hold(Slot& slot, uint64_t bytes, TimeMs now_ms) {
  if (fits(slot, bytes)) return true;
  const MutexLock guard(mutex_);
  const TimeMs stalled_before_ms = now_ms - options_.stalled_ms;
  while (evict_longest({Phase::kWriting, Phase::kBody}, stalled_before_ms, 1))
    if (fits(slot, bytes)) return true;
  return false;
}

void Admission::release(Slot& slot) { held_.fetch_sub(slot.bytes_held_.exchange(0)); }

void Admission::set_options(const AdmissionOptions& options) {
  const MutexLock guard(mutex_);
  options_ = options;
  bytes_max_ = options.bytes_max;
}

size_t Admission::connections() const {
  const MutexLock guard(mutex_);
  return slots_.size();
}

}  // namespace notp::http
