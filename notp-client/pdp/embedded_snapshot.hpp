// Converts an active set into a snapshot for the embedded engine.
#pragma once

#include "common/rego/snapshot.hpp"
#include "notp-client/pdp/pdp.hpp"
#include "protocol/model/builtin_grants.hpp"

namespace notp::pdp {

struct EmbeddedSnapshot final : rego::Snapshot {
  ActiveSetPtr active;  // that it was made from
};
using EmbeddedSnapshotPtr = std::shared_ptr<const EmbeddedSnapshot>;

// The policies of all ledgers without their tests, their data, data.system.notp, and the packages
// system.notp.tokens (rego/tokens_module.hpp) and system.notp.txn (rego/txn_module.hpp). The
// policies of a denied ledger are included as withheld, without data. Reads only manifests, except
// those of releases that `previous` (null: none) already has; blocking. Errors of `load`;
// kPdpRejected for a manifest that this agent cannot read.
Result<EmbeddedSnapshotPtr> embedded_snapshot(ActiveSetPtr active, const model::BlobLoader& load,
                                              const model::BuiltinGrants& builtins,
                                              const EmbeddedSnapshot* previous);

}  // namespace notp::pdp
