#include "protocol/session/server/server_logs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/limits.hpp"
#include "protocol/session/session_base.hpp"
#include "protocol/session/transfer_buffer.hpp"
#include "protocol/wire/log_limits.hpp"

namespace notp::session {

void ServerLogs::on_offer(const wire::LogOffer& offer) {
  if (!context_.may(wire::Action::kRecord, nullptr)) return;
  phase_ = Phase::kOffered;
  log_ = offer.log;
  context_.events.push_back(server_event::LogOffered{offer});
}

Result<void> ServerLogs::on_message(wire::LogAnnouncement&& announcement, Now) {
  if (!std::exchange(announcement_due_, false))
    return fail(ErrorCode::kState, "an announcement of a log that was not asked for");
  if (phase_ == Phase::kGranted)
    context_.events.push_back(
        server_event::LogAnnounced{log_, std::move(announcement.announcement)});
  return {};
}

Result<void> ServerLogs::check_place(const wire::Segment& segment) const {
  if (phase_ == Phase::kNone || phase_ == Phase::kOffered || segment.head.log != log_)
    return fail(ErrorCode::kState, "a segment of a log that was not granted");
  if (incoming_) return fail(ErrorCode::kState, "a segment before the end of the one before");
  if (announcement_due_ && !end_)
    return fail(ErrorCode::kState, "a segment before the announcement of its log");
  if (end_ && segment.head.first != *end_)
    return fail(ErrorCode::kState, fmt::format("a segment from position {} on, expected {}",
                                               segment.head.first, *end_));
  if (window_bytes_ == 0 || unacknowledged_bytes_ > window_bytes_)
    return fail(ErrorCode::kLimit,
                fmt::format("{} bytes of segments are on their way, and the window is {}",
                            unacknowledged_bytes_, window_bytes_));
  return {};
}

Result<void> ServerLogs::on_message(wire::Segment&& segment, Now now) {
  NOTP_TRY(check_place(segment));
  const uint64_t bytes = segment.size + limits::kSegmentOverheadBytes;
  unacknowledged_.push_back({segment.head.end(), bytes});
  unacknowledged_bytes_ += bytes;
  end_ = segment.head.end();
  if (const auto allowed = context_.may(wire::Action::kRecord, nullptr); !allowed)
    granted({.log = log_,
             .next = segment.head.first,
             .code = static_cast<uint32_t>(allowed.error().code),
             .message = allowed.error().message});
  if (segment.size == 0)
    hand_over(std::move(segment), {});
  else
    incoming_.emplace(std::move(segment), Bytes(), 0, now.boot_ms);
  return {};
}

Result<void> ServerLogs::on_message(const wire::Chunk& chunk, Now now) {
  NOTP_TRY(check_chunk(incoming_->segment.size, incoming_->received, chunk.bytes.size()));
  incoming_->received += chunk.bytes.size();
  incoming_->last_ms = now.boot_ms;
  if (phase_ != Phase::kRefused) incoming_->body.append(chunk.bytes);
  if (incoming_->received < incoming_->segment.size) return {};
  ArrivingSegment whole = *std::exchange(incoming_, std::nullopt);
  hand_over(std::move(whole.segment), std::move(whole.body));
  return {};
}

void ServerLogs::hand_over(wire::Segment&& segment, Bytes&& body) {
  if (phase_ == Phase::kRefused) return;
  context_.events.push_back(server_event::SegmentArrived{std::move(segment), std::move(body)});
}

void ServerLogs::granted(const wire::LogGrant& grant) {
  if (phase_ == Phase::kNone || phase_ == Phase::kRefused) return;
  phase_ = grant.code == 0 ? Phase::kGranted : Phase::kRefused;
  announcement_due_ = announcement_due_ || grant.announce;
  window_bytes_ = std::max(window_bytes_, grant.window_bytes);
  for (; !unacknowledged_.empty() && unacknowledged_.front().end <= grant.next;
       unacknowledged_.pop_front())
    unacknowledged_bytes_ -= unacknowledged_.front().bytes;
  if (phase_ == Phase::kRefused && incoming_) incoming_->body = Bytes();
  context_.output.send(grant);
}

void ServerLogs::receipt(const wire::LogReceipt& receipt) {
  if (phase_ != Phase::kGranted || receipt.log != log_) return;
  ++receipts_;
  context_.output.send(receipt);
}

Result<void> ServerLogs::on_message(wire::LogWitness&& witness, Now) {
  if (receipts_ == 0 || witness.log != log_)
    return fail(ErrorCode::kState, "a witness of what was not sent to it");
  --receipts_;
  context_.events.push_back(server_event::WitnessArrived{std::move(witness)});
  return {};
}

TimeMs ServerLogs::next_deadline() const {
  return incoming_ ? incoming_->last_ms + limits::kIdleMs : kNever;
}

void ServerLogs::on_deadline(Now) { context_.output.refuse(silent_peer(), 0); }

}  // namespace notp::session
