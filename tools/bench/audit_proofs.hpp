// Proofs of decisions from an audit store and the registry's tree, made and checked by the code of
// `notp decisions`, without a session.
#pragma once

#include "notp-server/audit/audit_store.hpp"
#include "tools/bench/audit_suite.hpp"
#include "tools/bench/recorded_fleet.hpp"
#include "tools/notp/audit/audit_port.hpp"

namespace notp::bench {

// Makes the registry's tree of all that is stored in `folder`, then proves and checks as many
// decisions as kShowIds. kIo; kInternal: a proof does not hold.
Result<ProofFigures> measure_proofs(const std::filesystem::path& folder, audit::AuditStore& store,
                                    cli::AuditPort& port, const RecordedFleet& fleet);

}  // namespace notp::bench
