#include "protocol/session/session_base.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "common/limits.hpp"

namespace notp::session {

namespace {

// In the bytes of one read. A frame costs its reader far more than its sender: whoever fills reads
// with the shortest one makes all sessions of a thread wait.
constexpr size_t kPingsAtOnceMax = 64;
// Then other sessions of the thread go on. A Commit costs some 0.02 ms.
constexpr size_t kMessagesAtOnceMax = 128;

// Returns the answer that replaces an unsendable one; nullopt: the message was not an answer.
std::optional<wire::Message> failed_answer(const wire::Message& message, const Error& error) {
  const auto to = [&]<typename T>(const T& answer) {
    T out;
    out.request = answer.request;
    out.code = static_cast<uint32_t>(error.code);
    out.message = error.message;
    return out;
  };
  if (const auto* response = std::get_if<wire::Response>(&message)) return to(*response);
  if (const auto* result = std::get_if<wire::PublishResult>(&message)) return to(*result);
  return std::nullopt;
}

}  // namespace

Error silent_peer() {
  return {ErrorCode::kTimeout, "the peer fell silent; the session is given up", {}};
}

SessionBase::SessionBase(Now now, FirstMessage first_message, bool pings)
    : first_message_(first_message),
      pings_(pings),
      first_message_deadline_(now.boot_ms + first_message.within_ms),
      last_received_ms_(now.boot_ms),
      last_sent_ms_(now.boot_ms),
      now_boot_ms_(now.boot_ms) {}

void SessionBase::receive(ByteView bytes, Now now) {
  while (receive_part(bytes, now)) bytes = {};
}

bool SessionBase::receive_part(ByteView bytes, Now now) {
  if (closed_) return false;
  now_boot_ms_ = last_received_ms_ = now.boot_ms;
  parser_.feed(bytes);
  size_t pings = 0;
  for (size_t handled = 0; handled < kMessagesAtOnceMax; ++handled) {
    const auto next = handle_next(pings, now);
    if (next && !*next && !closed_) refuse(next->error());
    if (closed_) return false;
    if (next) continue;
    if (!parser_.in_frame())
      frame_since_ms_ = kNever;
    else if (frame_since_ms_ == kNever)
      frame_since_ms_ = now.boot_ms;
    return false;
  }
  return true;
}

std::optional<Result<void>> SessionBase::handle_next(size_t& pings, Now now) {
  auto message = parser_.next();
  if (!message) return std::unexpected(std::move(message).error());
  if (!*message) return std::nullopt;
  if (std::holds_alternative<wire::Ping>(**message) && ++pings > kPingsAtOnceMax)
    return fail(
        ErrorCode::kLimit,
        fmt::format("more than {} Pings at once: a session needs one at a time", kPingsAtOnceMax));
  frame_since_ms_ = kNever;  // the next bytes belong to another frame
  return dispatch(std::move(**message), now);
}

Result<void> SessionBase::dispatch(wire::Message&& message, Now now) {
  if (const auto* ping = std::get_if<wire::Ping>(&message)) {
    send(wire::Pong{ping->nonce});
    return {};
  }
  if (const auto* pong = std::get_if<wire::Pong>(&message)) {
    if (pong->nonce == 0 || pong->nonce > ping_nonce_)
      return fail(ErrorCode::kState, "a Pong answers no Ping of this session");
    return {};
  }
  if (auto* error = std::get_if<wire::ErrorMessage>(&message)) {
    close(Error{error->code, std::move(error->message), {{"said_by", "peer"}}},
          error->retry_after_ms, now);
    return {};
  }
  if (auto* bye = std::get_if<wire::Bye>(&message)) {
    close(Error{ErrorCode::kCancelled, "the peer ended the session: " + bye->reason, {}},
          bye->retry_after_ms, now);
    return {};
  }
  return on_message(std::move(message), now);
}

void SessionBase::send(const wire::Message& message) {
  if (closed_) return;
  if (const auto pushed = queue_.push(message); !pushed) {
    on_unsendable(pushed.error());
    if (const auto instead = failed_answer(message, pushed.error())) return send(*instead);
    return refuse(pushed.error());
  }
  bound_queue();
}

void SessionBase::send_frames(model::Content frames) {
  if (closed_) return;
  queue_.push_frames(std::move(frames));
  bound_queue();
}

void SessionBase::bound_queue() {
  const size_t waiting = queue_.control_bytes() + in_flight_;
  if (queue_.control_bytes() == 0 || waiting <= limits::kSendQueueBytesMax) return count(0);
  give_up(Error{ErrorCode::kOverloaded,
                fmt::format("the peer does not read: {} bytes wait to be sent", waiting),
                {}});
}

void SessionBase::send_transfer(uint32_t stream, model::Content content, uint64_t offset) {
  if (!closed_) queue_.push_transfer(stream, std::move(content), offset);
}

void SessionBase::send_background(const wire::Message& head, uint32_t stream, model::Content body) {
  if (closed_) return;
  if (const auto pushed = queue_.push_background(head, stream, std::move(body)); !pushed)
    refuse(pushed.error());
}

void SessionBase::send_lane(model::Content frame, bool bulk) {
  if (!closed_) queue_.push_lane(std::move(frame), bulk);
}

void SessionBase::count(size_t taken) {
  if (meter_ != nullptr) meter_->sending(queue_.control_bytes() + in_flight_, taken);
}

Bytes SessionBase::take_output(size_t bytes_max) {
  Bytes out = queue_.take(bytes_max);
  took(out.size());
  return out;
}

model::Content SessionBase::take_shared() {
  model::Content out = queue_.take_shared();
  if (out) took(out->size());
  return out;
}

void SessionBase::took(size_t bytes) {
  if (bytes != 0) last_sent_ms_ = now_boot_ms_;
  const size_t taken = std::exchange(in_flight_, bytes);
  if (taken != 0 || bytes != 0) count(taken);
}

TimeMs SessionBase::timeout_deadline() const {
  TimeMs deadline = std::min(first_message_deadline_, last_received_ms_ + limits::kIdleMs);
  if (frame_since_ms_ != kNever)
    deadline = std::min(deadline, frame_since_ms_ + limits::kTransferStallMs);
  return deadline;
}

TimeMs SessionBase::next_deadline() const {
  if (closed_) return kNever;
  const TimeMs deadline = std::min(timeout_deadline(), own_deadline());
  return pings_ ? std::min(deadline, last_sent_ms_ + limits::kPingMs) : deadline;
}

void SessionBase::on_deadline(Now now) {
  if (closed_) return;
  now_boot_ms_ = now.boot_ms;
  if (now.boot_ms >= timeout_deadline()) {
    if (now.boot_ms < first_message_deadline_) return refuse(silent_peer());
    return refuse(Error{
        ErrorCode::kTimeout,
        fmt::format("no {} within {} s", first_message_.name, first_message_.within_ms / 1000),
        {}});
  }
  if (now.boot_ms >= own_deadline()) on_own_deadline(now);
  if (closed_) return;
  if (pings_ && now.boot_ms >= last_sent_ms_ + limits::kPingMs) {
    send(wire::Ping{++ping_nonce_});
    last_sent_ms_ = now.boot_ms;
  }
}

void SessionBase::on_stalled(Now now) {
  now_boot_ms_ = now.boot_ms;
  give_up(Error{ErrorCode::kTimeout,
                "the peer takes nothing of what is sent to it; the session is given up",
                {}});
}

void SessionBase::on_cut(Now now) {
  close(Error{ErrorCode::kUnavailable, "the connection was cut", {}}, 0, now);
}

void SessionBase::say_bye(std::string reason, uint32_t retry_after_ms) {
  if (closed_) return;
  queue_.cancel_transfers();
  static_cast<void>(queue_.push(wire::Bye{reason, retry_after_ms}));
  close(Error{ErrorCode::kCancelled, "this side ended the session: " + reason, {}}, 0,
        {0, now_boot_ms_});
}

void SessionBase::refuse(const Error& error, uint32_t retry_after_ms) {
  if (closed_) return;
  queue_.cancel_transfers();
  static_cast<void>(queue_.push(wire::ErrorMessage{error.code, error.message, retry_after_ms}));
  close(error, 0, {0, now_boot_ms_});
}

void SessionBase::give_up(const Error& error, uint32_t retry_after_ms) {
  if (closed_) return;
  queue_.clear();
  refuse(error, retry_after_ms);
  count(0);
}

void SessionBase::close(const Error& error, uint32_t retry_after_ms, Now now) {
  if (closed_) return;
  closed_ = true;
  on_closed(error, retry_after_ms, now);
}

}  // namespace notp::session
