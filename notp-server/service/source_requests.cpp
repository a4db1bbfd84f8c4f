#include <fmt/format.h>

#include "common/log.hpp"
#include "notp-server/service/request_handler.hpp"

namespace notp::service {

Result<wire::SourcesPage> RequestHandler::on(const wire::SourcesRequest& query,
                                             const Caller& caller, Effects&) {
  if (parts_.sources == nullptr) return wire::SourcesPage{};
  const auto rights = parts_.rights.get();
  return parts_.sources->page(query.name, [&](const model::LedgerId& ledger) {
    return rights->may(caller.identity, wire::Action::kRead, &ledger).has_value();
  });
}

Result<wire::SourcesPage> RequestHandler::on(const wire::RefreshSource& order, const Caller& caller,
                                             Effects&) {
  if (parts_.sources == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("this registry fetches no keys of '{}' for {}",
                                                  printable(order.name), order.ledger.text()));
  NOTP_ASSIGN(wire::SourcesPage page, parts_.sources->refresh(order.ledger, order.name));
  log::info("source_refreshed", {{"identity", caller.identity.text()},
                                 {"ledger", order.ledger.text()},
                                 {"source", order.name}});
  return page;
}

}  // namespace notp::service
