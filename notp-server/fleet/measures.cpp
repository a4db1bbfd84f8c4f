#include "notp-server/fleet/measures.hpp"

#include <utility>

namespace notp::fleet {

void Measures::begin(std::function<void(TimeMs)> activated) {
  const MutexLock lock(mutex_);
  if (activated) activated_ = std::move(activated);
  has_begun_ = true;
}

void Measures::published(const model::LedgerId& ledger, uint64_t version, TimeMs now_ms) {
  const MutexLock lock(mutex_);
  activations_.published(ledger, version, now_ms);
}

void Measures::seen(const std::string& node, bool connected, TimeMs now_ms) {
  const MutexLock lock(mutex_);
  if (connected)
    activations_.connected(node, now_ms);
  else
    activations_.departed(node);
}

std::optional<TimeMs> Measures::took_ms(const std::string& node, const wire::Commit& active,
                                        TimeMs now_ms) const {
  const MutexLock lock(mutex_);
  return activations_.took_ms(node, active.ledger, active.version, now_ms);
}

void Measures::written(const News& news) {
  activation_count_ += news.activations;
  rejection_count_ += news.rejections;
  std::function<void(TimeMs)> tell;
  {
    const MutexLock lock(mutex_);
    for (const News::Activation& each : news.measured)
      activations_.took(each.ledger, each.version, each.took_ms);
    tell = activated_;
  }
  if (tell)
    for (const News::Activation& each : news.measured) tell(each.took_ms);
}

Activations::Times Measures::times(const model::LedgerId& ledger, uint64_t version) const {
  const MutexLock lock(mutex_);
  return activations_.times(ledger, version);
}

bool Measures::changed() {
  const MutexLock lock(mutex_);
  return !std::exchange(has_changed_, true) && has_begun_ && !is_counting_;
}

bool Measures::has_to_count() const {
  const MutexLock lock(mutex_);
  return has_begun_ && (has_changed_ || is_counting_);
}

std::shared_ptr<const Census> Measures::census() const {
  const MutexLock lock(mutex_);
  return census_;
}

std::optional<std::string> Measures::page_due(SteadyTime now) {
  if (now < count_.next_at) return std::nullopt;
  const SteadyTime next_at = now + std::chrono::milliseconds(kPageMs);
  const MutexLock lock(mutex_);
  if (!std::exchange(is_counting_, true)) {
    has_changed_ = false;
    count_ = {};
  }
  count_.next_at = next_at;
  return count_.after;
}

void Measures::page_counted(std::optional<std::string> last) {
  if (last) {
    count_.after = *std::move(last);
    return;
  }
  auto complete = std::make_shared<const Census>(std::move(count_.census));
  const MutexLock lock(mutex_);
  census_ = std::move(complete);
  is_counting_ = false;
}

void Measures::page_not_read() {
  const MutexLock lock(mutex_);
  is_counting_ = false;
}

}  // namespace notp::fleet
