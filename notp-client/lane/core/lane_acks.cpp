#include "notp-client/lane/core/lane_acks.hpp"

#include "notp-client/lane/lane_limits.hpp"

namespace notp::lane {

uint64_t LaneAcks::begin(std::optional<wire::LanePosition> position, size_t bytes) {
  if (!is_whole_) position.reset();
  open_.push_back({++last_, position, bytes});
  open_bytes_ += bytes;
  return last_;
}

void LaneAcks::on_durable(uint64_t number) {
  durable_ = std::max(durable_, std::min(number, last_));
  close();
}

void LaneAcks::on_decided(uint64_t number, size_t tokens) {
  decided_ = std::max(decided_, std::min(number, last_));
  tokens_ = tokens;
  close();
}

void LaneAcks::on_lost(uint64_t number) {
  ++losses_;
  is_whole_ = false;
  for (Open& open : open_) open.position.reset();
  on_durable(number);
}

void LaneAcks::close() {
  const uint64_t done = std::min(durable_, decided_);
  while (!open_.empty() && open_.front().number <= done) {
    if (open_.front().position) acknowledged_ = open_.front().position;
    open_bytes_ -= open_.front().bytes;
    open_.pop_front();
  }
}

bool LaneAcks::is_full() const {
  return open_bytes_ > limits::kLaneOpenBytesMax || open_.size() > limits::kLaneOpenChangesMax;
}

bool LaneAcks::has_room() const {
  return open_bytes_ <= limits::kLaneOpenBytesMax / 2 &&
         open_.size() <= limits::kLaneOpenChangesMax / 2;
}

bool LaneAcks::differs(wire::LaneAge age) const {
  return acknowledged_ &&
         (!reported_ || reported_->revision != acknowledged_->revision || reported_->age != age);
}

std::optional<wire::LaneApplied> LaneAcks::take_report(wire::LaneAge age, TimeMs boot_ms) {
  if (!differs(age) || boot_ms < free_ms_) return std::nullopt;
  free_ms_ = boot_ms + limits::kLaneAppliedMs;
  return reported_ = wire::LaneApplied{acknowledged_->revision, age, tokens_};
}

TimeMs LaneAcks::next_report(wire::LaneAge age) const { return differs(age) ? free_ms_ : kNever; }

}  // namespace notp::lane
