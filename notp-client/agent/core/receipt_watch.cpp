#include "notp-client/agent/core/receipt_watch.hpp"

#include <utility>

namespace notp::agent {

void ReceiptWatch::update(const TreeWitness& seen, TimeMs boot_ms) {
  const bool is_waiting =
      seen.is_known && seen.refused.empty() && seen.acknowledged > seen.witnessed;
  // What came meanwhile waits from now on; a new log begins with fewer records.
  const bool is_same = is_waiting && waiting_below_ && seen.witnessed < *waiting_below_ &&
                       seen.acknowledged >= *waiting_below_;
  if (!is_same) {
    waited_ms_ = 0;
    was_overdue_ = false;
    since_ms_.reset();
    waiting_below_.reset();
    if (is_waiting) waiting_below_ = seen.acknowledged;
  }
  if (seen.is_granted && waiting_below_ && !since_ms_) since_ms_ = boot_ms;
}

void ReceiptWatch::session_ended(TimeMs boot_ms) {
  if (const auto since = std::exchange(since_ms_, std::nullopt)) waited_ms_ += boot_ms - *since;
}

TimeMs ReceiptWatch::next_deadline() const {
  return since_ms_ && !was_overdue_ ? *since_ms_ + kReceiptOverdueMs - waited_ms_ : kNever;
}

std::optional<record::Position> ReceiptWatch::take_overdue(TimeMs boot_ms) {
  if (boot_ms < next_deadline()) return std::nullopt;
  was_overdue_ = true;
  return waiting_below_;
}

}  // namespace notp::agent
