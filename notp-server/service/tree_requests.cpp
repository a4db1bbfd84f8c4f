#include "notp-server/service/request_handler.hpp"

namespace notp::service {

Result<void> RequestHandler::note_read(const wire::Request& request, const Caller& caller) {
  if (parts_.tree == nullptr) return {};
  return parts_.tree->reads().note(caller.identity.text(), request, caller.now_ms);
}

Result<const audit::Proofs*> RequestHandler::proofs() const {
  if (parts_.tree != nullptr) return &parts_.tree->proofs();
  return fail(ErrorCode::kConfig,
              "this registry keeps no tree: records of decisions are switched off, or its disk "
              "takes no writes");
}

Result<wire::TreePart> RequestHandler::on(const wire::TreeRequest& query, const Caller&, Effects&) {
  NOTP_ASSIGN(const auto* const proofs, this->proofs());
  return proofs->part(query);
}

Result<wire::RecordProof> RequestHandler::on(const wire::ProofRequest& query, const Caller& caller,
                                             Effects&) {
  NOTP_ASSIGN(const auto* const proofs, this->proofs());
  return proofs->prove(query, audited_by(caller));
}

}  // namespace notp::service
