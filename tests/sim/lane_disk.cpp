#include "tests/sim/lane_disk.hpp"

#include <algorithm>
#include <variant>

namespace notp::sim {

using feed::Event;
using feed::EventKind;
namespace change = lane::change;

const lane::LaneMarks& LaneDisk::open() {
  losses_ = 0;
  marks_.has_tokens &= keeps_tokens_;
  return marks_;
}

std::vector<Event> LaneDisk::load() const {
  std::vector<Event> out;
  for (const auto& [key, event] : revocations_) out.push_back(event);
  for (const auto& [id, token] : tokens_) out.push_back(token.second);
  return out;
}

void LaneDisk::put(const Event& event, bool is_row) {
  const auto known = revocations_.find(feed::key_of(event));
  if (event.kind == EventKind::kToken) {
    if (!keeps_tokens_ || revocations_.contains({EventKind::kDeleted, event.id})) return;
    const auto before = tokens_.find(event.id);
    if (is_row && before != tokens_.end() && before->second.first >= generation_) return;
    tokens_[event.id] = {generation_, event};
    return;
  }
  if (event.kind == EventKind::kDeleted) tokens_.erase(event.id);
  Event kept = event;
  if (event.kind != EventKind::kList && known != revocations_.end()) {
    kept.not_before_s = std::max(kept.not_before_s, known->second.not_before_s);
    kept.until_s = std::max(kept.until_s, known->second.until_s);
  }
  revocations_[feed::key_of(event)] = std::move(kept);
}

bool LaneDisk::write(std::span<const lane::effect::Take> changes, bool fails) {
  lane::LaneMarks marks = changes.back().marks;
  if (changes.back().losses != losses_) {
    marks.position.reset();
    marks.has_tokens = false;
  }
  if (fails) {
    ++losses_;
    return false;
  }
  for (const lane::effect::Take& take : changes) {
    if (const auto* events = std::get_if<change::Events>(&take.change)) {
      for (const Event& event : events->events) put(event, false);
    } else if (const auto* part = std::get_if<change::Rows>(&take.change)) {
      for (const Event& row : part->snapshot.rows) put(row, true);
    } else if (std::holds_alternative<change::SnapshotBegins>(take.change)) {
      ++generation_;
    } else if (std::holds_alternative<change::SnapshotEnds>(take.change)) {
      std::erase_if(tokens_, [&](const auto& each) { return each.second.first < generation_; });
    }
  }
  marks_ = marks;
  return true;
}

void LaneDisk::expire(int64_t now_s) {
  marks_.trusted_ms = std::max(marks_.trusted_ms, now_s * 1'000);
  std::erase_if(revocations_, [&](const auto& each) { return each.second.until_s < now_s; });
  std::erase_if(tokens_, [&](const auto& each) { return each.second.second.end_s() < now_s; });
}

bool LaneDisk::has(const Event& revocation) const {
  const auto found = revocations_.find(feed::key_of(revocation));
  return found != revocations_.end() && found->second.not_before_s >= revocation.not_before_s;
}

}  // namespace notp::sim
