#include "protocol/session/server/server_requests.hpp"

#include <fmt/format.h>

#include <utility>

#include "protocol/session/server/session_limits.hpp"

namespace notp::session {

Result<void> ServerRequests::may_ask(const wire::Request& request) const {
  if (unanswered_ >= limits::kRequestsPerSessionMax)
    return fail(ErrorCode::kOverloaded,
                fmt::format("{} questions of this session wait for their answers already; ask "
                            "again when some have come",
                            unanswered_));
  const auto right = wire::needed_right(request);
  return right ? context_.may(right->action, right->ledger) : Result<void>{};
}

Result<void> ServerRequests::on_message(wire::Request&& request, Now) {
  if (auto allowed = may_ask(request); !allowed) {
    context_.output.send(wire::Response{
        request.request, static_cast<uint32_t>(allowed.error().code), allowed.error().message});
    context_.events.push_back(server_event::Refused{std::move(allowed).error()});
    return {};
  }
  ++unanswered_;
  context_.events.push_back(server_event::Asked{std::move(request)});
  return {};
}

void ServerRequests::answer(wire::Response response) {
  if (unanswered_ > 0) --unanswered_;
  context_.output.send(response);
}

}  // namespace notp::session
