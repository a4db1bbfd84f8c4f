#include "notp-server/service/request_handler.hpp"

namespace notp::service {

Result<audit::Erasure*> RequestHandler::erasure() const {
  if (parts_.erasure != nullptr) return parts_.erasure;
  return fail(ErrorCode::kConfig,
              "this registry neither holds nor erases records: they are switched off, or its disk "
              "takes no writes");
}

Result<wire::HoldsPage> RequestHandler::on(const wire::HoldsRequest& query, const Caller& caller,
                                           Effects&) {
  NOTP_ASSIGN(auto* const erasure, this->erasure());
  return erasure->holds(query, audited_by(caller));
}

Result<wire::HoldsPage> RequestHandler::on(const wire::PutHold& order, const Caller& caller,
                                           Effects&) {
  NOTP_ASSIGN(auto* const erasure, this->erasure());
  return erasure->put_hold(order, caller.identity.text(), ledgers_of(caller, wire::Action::kErase));
}

Result<wire::Erased> RequestHandler::on(const wire::EraseRequest& order, const Caller& caller,
                                        Effects&) {
  NOTP_ASSIGN(auto* const erasure, this->erasure());
  return erasure->erase(order, caller.identity.text(), ledgers_of(caller, wire::Action::kErase));
}

}  // namespace notp::service
