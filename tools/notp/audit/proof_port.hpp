// What the commands about the registry's tree ask a registry, as an interface, and how a proof is
// put together from the answers.
#pragma once

#include <functional>

#include "protocol/wire/messages/ledgers.hpp"
#include "protocol/wire/messages/proof.hpp"
#include "protocol/wire/messages/trust.hpp"
#include "tools/notp/audit/audit_port.hpp"
#include "tools/notp/audit/audit_record.hpp"
#include "tools/notp/audit/proof_file.hpp"

namespace notp::cli {

// Blocking; one thread. Every answer is only what the registry says.
class ProofPort {
 public:
  virtual ~ProofPort() = default;
  virtual Result<wire::TreePart> ask(const wire::TreeRequest& request) = 0;
  virtual Result<wire::RecordProof> ask(const wire::ProofRequest& request) = 0;
  // Envelopes of the roots above `version`, oldest first, and whether there are more.
  virtual Result<wire::RootsPage> ask(const wire::RootsRequest& request) = 0;
  virtual Result<wire::HistoryPage> ask(const wire::HistoryRequest& request) = 0;
};

class RegistryProofs final : public ProofPort {
 public:
  // `client` outlives it.
  explicit RegistryProofs(RegistryClient& client) : client_(client) {}
  Result<wire::TreePart> ask(const wire::TreeRequest& request) override;
  Result<wire::RecordProof> ask(const wire::ProofRequest& request) override;
  Result<wire::RootsPage> ask(const wire::RootsRequest& request) override;
  Result<wire::HistoryPage> ask(const wire::HistoryRequest& request) override;

 private:
  RegistryClient& client_;
};

// Puts the proof of one decision together. kNotFound: a part of it is not there (any more), or not
// in the registry's tree yet; kMessage: the answers do not fit together. Nothing is verified here:
// check_proof() does.
Result<DecisionProof> fetch_proof(AuditPort& audit, ProofPort& proofs, const AuditRecord& decision);

}  // namespace notp::cli
