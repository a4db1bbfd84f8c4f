#include "notp-client/lane/host/agent_side.hpp"

#include <boost/asio/post.hpp>
#include <utility>

namespace notp::lane {

void AgentSide::start(Events events) {
  events_ = std::move(events);
  sink_.on_tokens_lost([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->events_.lost) self->events_.lost();
  });
}

void AgentSide::session_begins(session::ClientSession& session, std::function<void()> wake) {
  session_ = &session;
  wake_ = std::move(wake);
}

void AgentSide::send(LaneMessage message) {
  boost::asio::post(executor_, [self = shared_from_this(), message = std::move(message)] {
    session::ClientSession* const session = self->session_;
    if (!session || !session->is_welcomed() || session->is_closed()) return;
    if (const auto* subscribe = std::get_if<wire::LaneSubscribe>(&message))
      session->lane_subscribe(*subscribe);
    else if (const auto* ask = std::get_if<wire::LaneAsk>(&message))
      session->lane_ask(*ask);
    else
      session->lane_applied(std::get<wire::LaneApplied>(message));
    self->wake_();
  });
}

void AgentSide::decide(uint64_t number, TableUpdate update) {
  boost::asio::post(
      executor_, [self = shared_from_this(), number, update = std::move(update)]() mutable {
        if (self->is_stopped_) return;
        self->sink_.apply_tokens(std::move(update), [self, number](Result<void> outcome) {
          if (self->events_.decided) self->events_.decided(number, std::move(outcome));
        });
      });
}

void AgentSide::raise(Error error) {
  boost::asio::post(executor_, [self = shared_from_this(), error = std::move(error)] {
    if (!self->is_stopped_) self->alarm_(error);
  });
}

}  // namespace notp::lane
