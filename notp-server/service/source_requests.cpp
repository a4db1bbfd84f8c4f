#include <fmt/format.h>

#include "notp-server/service/request_handler.hpp"

namespace notp::service {

Result<wire::SourcesPage> RequestHandler::on(const wire::SourcesRequest&, const Caller&, Effects&) {
  return wire::SourcesPage{};
}

Result<wire::SourcesPage> RequestHandler::on(const wire::RefreshSource& order, const Caller&,
                                             Effects&) {
  return fail(ErrorCode::kNotFound,
              fmt::format("this registry fetches no keys of '{}' for {}", printable(order.name),
                          order.ledger.text()));
}

}  // namespace notp::service
