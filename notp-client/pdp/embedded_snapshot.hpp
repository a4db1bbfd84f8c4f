// An active set as what the embedded engine decides with.
#pragma once

#include "common/rego/snapshot.hpp"
#include "notp-client/pdp/pdp.hpp"
#include "protocol/model/builtin_grants.hpp"

namespace notp {

struct EmbeddedSnapshot final : rego::Snapshot {
  ActiveSetPtr active;  // that it was made of
};
using EmbeddedSnapshotPtr = std::shared_ptr<const EmbeddedSnapshot>;

// The policies of all ledgers without their tests, their data, and data.system.notp. Of a ledger
// that is denied the policies are there as withheld, and no data. Reads manifests alone, and none
// of a release that is in `previous` (null: there is none) already; blocking. Errors of `load`;
// kPdpRejected for a manifest that this agent cannot read.
Result<EmbeddedSnapshotPtr> embedded_snapshot(ActiveSetPtr active, const BlobLoader& load,
                                              const BuiltinGrants& builtins,
                                              const EmbeddedSnapshot* previous);

}  // namespace notp
