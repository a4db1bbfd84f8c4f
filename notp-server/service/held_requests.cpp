// Releases at the nodes: those that a replay gate holds, and how far one has come.
#include "common/log.hpp"
#include "notp-server/service/request_handler.hpp"

namespace notp::service {

Result<wire::Done> RequestHandler::on(const wire::ReleaseHeldRequest& order, const Caller& caller,
                                      Effects& effects) {
  NOTP_TRY(parts_.fleet.release_held(order.node, order.ledger, order.version));
  log::warn("held_release_let_go", {{"identity", caller.identity.text()},
                                    {"node", order.node},
                                    {"ledger", order.ledger.text()},
                                    {"version", order.version}});
  effects.released = order;
  return wire::Done{};
}

Result<wire::ReleaseStatus> RequestHandler::on(const wire::ReleaseStatusRequest& query,
                                               const Caller& caller, Effects&) {
  return parts_.fleet.release_status(query.ledger, query.version, started_ms_, caller.now_ms);
}

}  // namespace notp::service
