// An active set as one OPA bundle (https://www.openpolicyagent.org/docs/management-bundles).
#pragma once

#include "notp-client/pdp/bundle_layout.hpp"

namespace notp::pdp {

struct OpaBundle {
  ActiveSetPtr active_set;
  std::string revision;  // as in .manifest
  std::string etag;      // quoted, from the hash of the bytes
  std::shared_ptr<const Bytes> body;
};
using OpaBundlePtr = std::shared_ptr<const OpaBundle>;

// The tar.gz of all ledgers: policies (without tests) in a folder for each ledger, data at its data
// paths, data.system.notp, the masks of OPA's decision log (mask_module), what `lane` adds, and
// a manifest whose roots are those of the ledgers (bundle_layout). Equal
// releases with equal freshness give equal bytes. Blocking, and slow for large data. Errors of
// `load`; kPdpRejected when ledgers clash.
Result<OpaBundlePtr> build_opa_bundle(ActiveSetPtr active, const model::BlobLoader& load,
                                      rego::ModelChecker& engine, const BundleLane& lane = {});

}  // namespace notp::pdp
