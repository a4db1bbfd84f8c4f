#include <fmt/format.h>

#include "notp-server/service/request_handler.hpp"

namespace notp::service {
namespace {

std::unexpected<Error> no_lane(const std::string& lane) {
  return fail(ErrorCode::kNotFound, fmt::format("this registry has no lane '{}'", printable(lane)));
}

}  // namespace

Result<wire::LanesPage> RequestHandler::on(const wire::LanesRequest& query, const Caller&,
                                           Effects&) {
  if (!query.lane.empty()) return no_lane(query.lane);
  return wire::LanesPage{};
}

Result<wire::LaneChange> RequestHandler::on(const wire::RevokeTokens& order, const Caller&,
                                            Effects&) {
  return no_lane(order.lane);
}

Result<wire::TokenRow> RequestHandler::on(const wire::ShowToken& query, const Caller&, Effects&) {
  return no_lane(query.lane);
}

}  // namespace notp::service
