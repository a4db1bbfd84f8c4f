#include "protocol/session/server/server_requests.hpp"

#include <fmt/format.h>

#include <type_traits>
#include <utility>
#include <variant>

#include "protocol/session/server/session_limits.hpp"

namespace notp {

Result<void> ServerRequests::may_ask(const wire::Query& query) const {
  if (unanswered_ >= limits::kQueriesPerSessionMax)
    return fail(ErrorCode::kOverloaded,
                fmt::format("{} questions of this session wait for their answers already; ask "
                            "again when some have come",
                            unanswered_));
  return std::visit(
      [this](const auto& what) -> Result<void> {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, wire::HistoryQuery>)
          return context_.may(Action::kRead, &what.ledger);
        if constexpr (std::is_same_v<T, wire::NodesQuery>)
          return context_.may(Action::kFleet, nullptr);
        if constexpr (std::is_same_v<T, wire::PublishRoot>)
          return context_.may(Action::kTrust, nullptr);
        if constexpr (std::is_same_v<T, wire::Withdraw> || std::is_same_v<T, wire::Cosign> ||
                      std::is_same_v<T, wire::DropPending>)
          return context_.may(Action::kPublish, &what.ledger);
        if constexpr (std::is_same_v<T, wire::PendingQuery>) {
          // Without a ledger the answer holds what the peer may see.
          if (what.ledger) return context_.may(Action::kReview, &*what.ledger);
        }
        if constexpr (std::is_same_v<T, wire::NewJoinToken>)
          return context_.may(Action::kEnroll, nullptr);
        if constexpr (std::is_same_v<T, wire::RenewCertificate>)
          return context_.may(Action::kRenew, nullptr);
        return {};
      },
      query.what);
}

Result<void> ServerRequests::on_message(wire::Query&& query, Now) {
  if (auto allowed = may_ask(query); !allowed) {
    wire::Answer answer;
    answer.request = query.request;
    answer.code = static_cast<uint32_t>(allowed.error().code);
    answer.message = allowed.error().message;
    context_.output.send(answer);
    context_.events.push_back(server_event::Refused{std::move(allowed).error()});
    return {};
  }
  ++unanswered_;
  context_.events.push_back(server_event::Asked{std::move(query)});
  return {};
}

void ServerRequests::answer(wire::Answer answer) {
  if (unanswered_ > 0) --unanswered_;
  context_.output.send(answer);
}

}  // namespace notp
