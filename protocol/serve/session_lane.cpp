#include "protocol/serve/session_lane.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "protocol/feed/feed_limits.hpp"

namespace notp::serve {

namespace {

// A subscription may cost a snapshot: one a second, and some at once after a change of instance.
constexpr TimeMs kSubscribeEveryMs = 1'000;
constexpr TimeMs kSubscribesAtOnce = 8;
// Reports come kLaneAppliedMs apart, and closer together after a connection that hung.
constexpr TimeMs kAppliedEveryMs = limits::kLaneAppliedMs / 2;
constexpr TimeMs kAppliedAtOnce = 64;

// Whether one more may come now; `paid_ms`: boot time up to which those before are paid for.
bool is_paid(TimeMs& paid_ms, TimeMs every_ms, TimeMs at_once, Now now) {
  if (paid_ms > now.boot_ms + every_ms * (at_once - 1)) return false;
  paid_ms = std::max(paid_ms, now.boot_ms) + every_ms;
  return true;
}

}  // namespace

// --- readers of one thread

SessionLane* LaneReaders::find(const LaneReader& reader) const {
  const auto found = readers_.find(reader.number);
  return found == readers_.end() || found->second->reader() != reader ? nullptr : found->second;
}

void LaneReaders::leave(uint64_t group, SessionLane& lane) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return;
  found->second.erase(&lane);
  if (found->second.empty()) groups_.erase(found);
}

void LaneReaders::deliver(const std::vector<LaneSend>& sends) {
  for (const LaneSend& send : sends) {
    if (const auto* to = std::get_if<lane_send::ToGroup>(&send)) {
      const auto group = groups_.find(to->group);
      if (group == groups_.end()) continue;
      // A reader that falls behind leaves the group.
      const std::vector<SessionLane*> joined(group->second.begin(), group->second.end());
      for (SessionLane* const lane : joined) lane->send_batch(to->frame, to->to);
      continue;
    }
    std::visit(
        [this](const auto& one) {
          if constexpr (requires { one.reader; })
            if (SessionLane* const lane = find(one.reader)) lane->send(one);
        },
        send);
  }
}

// --- one session

void SessionLane::begin(Place place) { place_ = std::move(place); }

void SessionLane::end() {
  if (stream_ == 0) return;
  if (group_) place_.readers->leave(*std::exchange(group_, std::nullopt), *this);
  place_.readers->remove(place_.number);
  feed_->closed(place_.number);
  stream_ = 0;
}

void SessionLane::take(session::server_event::LaneSubscribed& event, Now now) {
  const auto refuse = [&](ErrorCode code, const char* why) {
    place_.session->lane_state({.lane = std::move(event.subscribe.lane),
                                .code = static_cast<uint32_t>(code),
                                .message = why});
  };
  if (feed_ == nullptr) return refuse(ErrorCode::kNotFound, "this registry has no lanes");
  if (stream_ == 0) place_.readers->add(place_.number, *this);
  place_.session->drop_lane();
  new_stream();
  if (!is_paid(subscribe_ms_, kSubscribeEveryMs, kSubscribesAtOnce, now))
    return refuse(ErrorCode::kOverloaded, "the node subscribes too often: at most once a second");
  feed_->subscribe(reader(), place_.identity, std::move(event.subscribe));
}

void SessionLane::take(session::server_event::LaneAsked& event, Now) {
  if (stream_ == 0) return;
  if (asks_open_ + event.ask.ids.size() > limits::kLaneAsksOpenMax) return;
  asks_open_ += event.ask.ids.size();
  feed_->ask(reader(), std::move(event.ask.ids));
}

// More than a node sends is left out: each one waits for the lane's thread.
void SessionLane::take(session::server_event::LaneAppliedArrived& event, Now now) {
  if (stream_ == 0 || !is_paid(applied_ms_, kAppliedEveryMs, kAppliedAtOnce, now)) return;
  feed_->applied(reader(), event.applied);
}

// A page is sent once it has left the queue and what was taken with it is written.
void SessionLane::on_output(bool has_taken) {
  if (draining_ == Draining::kNo) return;
  if (draining_ == Draining::kQueued) {
    if (place_.session->lane_unsent() == 0) draining_ = Draining::kBeingWritten;
    return;
  }
  if (!has_taken) return;
  draining_ = Draining::kNo;
  feed_->drained(reader());
}

// What the group is sent, and what of it is still queued, is of the history that this ends.
void SessionLane::send(const lane_send::Tell& tell) {
  if (group_) {
    place_.readers->leave(*std::exchange(group_, std::nullopt), *this);
    place_.session->drop_lane();
    batches_.clear();
    batch_bytes_ = 0;
  }
  place_.session->lane_state(tell.state);
  place_.wake();
}

void SessionLane::send(const lane_send::ToReader& sent) {
  if (sent.is_answer && asks_open_ > 0) --asks_open_;
  if (!has_room(*sent.frame)) return fall_behind();
  // First, because all of it may be written at once.
  if (sent.is_page) draining_ = Draining::kQueued;
  if (sent.to != 0) queue_batch(sent.frame->size(), sent.to);
  push(sent.frame, sent.is_bulk);
}

void SessionLane::send(const lane_send::Join& join) {
  group_ = join.group;
  place_.readers->join(join.group, *this);
}

void SessionLane::send_batch(const model::Content& frame, uint64_t to) {
  if (!has_room(*frame)) return fall_behind();
  queue_batch(frame->size(), to);
  push(frame, false);
}

void SessionLane::queue_batch(size_t bytes, uint64_t to) {
  look_at_queue();
  batches_.push_back({bytes, to});
  batch_bytes_ += bytes;
}

// One frame always has room.
bool SessionLane::has_room(const Bytes& frame) const {
  const size_t unsent = place_.session->lane_unsent();
  return unsent == 0 || unsent + frame.size() <= limits::kLaneUnsentBytesMax;
}

void SessionLane::push(const model::Content& frame, bool is_bulk) {
  place_.session->lane_statement(frame, is_bulk);
  place_.wake();
}

// A page in the queue counts as sent here, so that rather too many batches do not: the reader gets
// those again.
void SessionLane::look_at_queue() {
  const size_t unsent = place_.session->lane_unsent();
  while (!batches_.empty() && batch_bytes_ > unsent) {
    batch_bytes_ -= batches_.front().bytes;
    sent_to_ = batches_.front().to;
    batches_.pop_front();
  }
}

void SessionLane::new_stream() {
  if (group_) place_.readers->leave(*std::exchange(group_, std::nullopt), *this);
  ++stream_;
  draining_ = Draining::kNo;
  batches_.clear();
  batch_bytes_ = 0;
  sent_to_ = 0;
  asks_open_ = 0;
}

void SessionLane::fall_behind() {
  look_at_queue();
  const uint64_t sent_to = sent_to_;
  place_.session->drop_lane();
  new_stream();
  draining_ = Draining::kBeingWritten;
  feed_->fell_behind(reader(), sent_to);
}

}  // namespace notp::serve
