#include "protocol/serve/session_recovery.hpp"

#include <utility>

namespace notp::serve {

const SessionHandle& SessionRecovery::handle() {
  if (handle_.number == 0) handle_.number = next_session_++;
  return handle_;
}

void SessionRecovery::take(session::server_event::HoldsMore& event) {
  if (intake_ != nullptr) intake_->on_holds_more(handle(), event);
}

void SessionRecovery::take(session::server_event::HeldArrived& event) {
  if (intake_ != nullptr) intake_->on_held(handle(), std::move(event.held));
}

void SessionRecovery::take(session::server_event::ReturnArrived& event) {
  return_asked_.reset();
  if (intake_ != nullptr)
    intake_->on_returned(handle(), std::move(event.head), std::move(event.artifact));
}

void SessionRecovery::ask(session::ServerSession& session, const wire::HeldRequest& request) {
  if (intake_ != nullptr) static_cast<void>(session.ask_held(request));
}

void SessionRecovery::ask(session::ServerSession& session, const wire::ReturnRequest& request) {
  if (intake_ == nullptr) return;
  if (auto asked = session.ask_return(request, read_clock()); !asked)
    return intake_->on_returned(handle(), no_return(request.request, asked.error()), nullptr);
  return_asked_ = request.request;
}

void SessionRecovery::end() {
  if (intake_ == nullptr || handle_.number == 0) return;
  if (const auto request = std::exchange(return_asked_, std::nullopt))
    intake_->on_returned(handle_, no_return(*request, session_ended()), nullptr);
  intake_->on_session_end(handle_);
}

}  // namespace notp::serve
