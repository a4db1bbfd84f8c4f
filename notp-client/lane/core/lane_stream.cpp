#include "notp-client/lane/core/lane_stream.hpp"

#include <fmt/format.h>

namespace notp::lane {
namespace {

// The key behind that of every revocation: only tokens follow.
feed::EventKey last_revocation() {
  feed::EventKey key{feed::EventKind::kDeleted, {}};
  key.id.bytes.fill(0xff);
  return key;
}

bool is_same_history(const wire::LanePosition& one, const wire::LanePosition& other) {
  return one.instance == other.instance && one.grant == other.grant;
}

}  // namespace

LaneStream::LaneStream(const LaneMarks& stored, bool pushes) : whole_(stored.position) {
  if (whole_ && pushes && !stored.has_tokens)
    snapshot_ = InSnapshot{*whole_, /*has_begun=*/true, /*is_of_tokens=*/true, last_revocation()};
}

bool LaneStream::is_current(uint64_t head) const {
  return whole_ && (!snapshot_ || snapshot_->is_of_tokens) && whole_->revision >= head;
}

bool LaneStream::has_all() const { return whole_ && head_ && whole_->revision >= *head_; }

void LaneStream::describe(wire::LaneSubscribe& subscribe) const {
  if (!snapshot_) {
    subscribe.position = whole_;
    return;
  }
  subscribe.position = snapshot_->position;
  subscribe.snapshot = true;
  subscribe.after = snapshot_->after;
}

bool LaneStream::on_granted(const wire::LanePosition& granted) {
  const auto& followed = snapshot_ ? snapshot_->position : whole_.value_or(wire::LanePosition{});
  if (!is_same_history(followed, granted)) head_.reset();
  on_head(granted.revision);
  if (is_same_history(followed, granted)) return true;
  snapshot_ = InSnapshot{{granted.instance, granted.grant, 0}, false, false, std::nullopt};
  return false;
}

void LaneStream::want_snapshot(bool is_lost) {
  if (!snapshot_ && !whole_) return;
  snapshot_ = InSnapshot{snapshot_ ? snapshot_->position : *whole_, false, false, std::nullopt};
  if (is_lost) whole_.reset();
}

bool LaneStream::is_of_whole(const feed::LaneHeader& header) const {
  return whole_ && whole_->instance == header.instance && whole_->grant == header.grant;
}

Result<void> LaneStream::check_history(const feed::LaneHeader& header, TimeMs signed_ms) const {
  if (!is_of_whole(header) || header.head >= whole_->revision || header.time_ms < signed_ms)
    return {};
  return fail(
      ErrorCode::kRollback,
      fmt::format("the registry's lane {} is at revision {}, this node has {}: the registry "
                  "lost a part of the lane's history; begin the lane anew there",
                  header.lane, header.head, whole_->revision));
}

Result<StreamStep> LaneStream::on_batch(const feed::Batch& batch, TimeMs signed_ms) {
  const bool is_waiting = snapshot_ && !snapshot_->has_begun;
  // Until a snapshot begins that repairs the store, what is here goes on.
  if (is_waiting && !is_of_whole(batch.header)) return StreamStep::kNothing;
  NOTP_TRY(check_history(batch.header, signed_ms));
  wire::LanePosition& position = snapshot_ && !is_waiting ? snapshot_->position : *whole_;
  if (batch.from > position.revision) return StreamStep::kAgain;
  if (batch.to <= position.revision) return StreamStep::kNothing;
  position.revision = batch.to;
  trails_ &= !has_all();
  if (snapshot_ && snapshot_->is_of_tokens) whole_ = position;
  return StreamStep::kApply;
}

Result<StreamStep> LaneStream::on_snapshot(const feed::Snapshot& snapshot, TimeMs signed_ms) {
  NOTP_TRY(check_history(snapshot.header, signed_ms));
  if (!snapshot.after)
    snapshot_ = InSnapshot{{snapshot.header.instance, snapshot.header.grant, snapshot.as_of},
                           /*has_begun=*/true,
                           /*is_of_tokens=*/false,
                           std::nullopt};
  else if (!snapshot_ || !snapshot_->has_begun || snapshot_->after != snapshot.after)
    return StreamStep::kAgain;
  snapshot_->after = snapshot.last;
  return StreamStep::kApply;
}

void LaneStream::end_snapshot() {
  trails_ |= !whole_;
  whole_ = snapshot_->position;
  snapshot_.reset();
  trails_ &= !has_all();
}

}  // namespace notp::lane
