#include <fmt/format.h>

#include "common/log.hpp"
#include "notp-server/service/request_handler.hpp"

namespace notp::service {
namespace {

std::unexpected<Error> no_lane(const std::string& lane) {
  return fail(ErrorCode::kNotFound, fmt::format("this registry has no lane '{}'", printable(lane)));
}

}  // namespace

Result<wire::LanesPage> RequestHandler::on(const wire::LanesRequest& query, const Caller&,
                                           Effects&) {
  const bool is_there =
      parts_.lanes != nullptr && (query.lane.empty() || parts_.lanes->find(query.lane) != nullptr);
  if (!is_there && !query.lane.empty()) return no_lane(query.lane);
  return is_there ? parts_.lanes->page(query.lane) : wire::LanesPage();
}

// What is revoked is not written down: it names a person.
Result<wire::LaneChange> RequestHandler::on(const wire::RevokeTokens& order, const Caller& caller,
                                            Effects&) {
  if (parts_.lanes == nullptr) return no_lane(order.lane);
  NOTP_ASSIGN(const wire::LaneChange change, parts_.lanes->revoke(order, caller.now_ms));
  if (order.id || order.mark)
    log::info("tokens_revoked",
              {{"identity", caller.identity.text()},
               {"lane", order.lane},
               {"what", order.id ? "token" : feed::mark_kind_name(order.mark->kind)},
               {"lane_revision", change.revision}});
  return change;
}

Result<wire::TokenRow> RequestHandler::on(const wire::ShowToken& query, const Caller&, Effects&) {
  if (parts_.lanes == nullptr) return no_lane(query.lane);
  return parts_.lanes->show(query);
}

}  // namespace notp::service
