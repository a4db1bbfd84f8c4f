// Whether the releases of a ledger were signed as the roots demand.
#pragma once

#include <memory>
#include <vector>

#include "notp-server/registry/registry.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::backup {

// The chain of roots, oldest first, verified.
using RootChain = std::vector<std::shared_ptr<const trust::Root>>;

// Each release is signed as a root of the chain demands, whenever that was in force; expiry does
// not matter. Below the head, where the chain does not reach back to root v1, the next release may
// vouch for one instead: it names it by hash. The releases are in order, and follow each other.
// kSignature and the other codes of verify_release(), as under the newest root.
Result<void> check_signatures(const std::vector<registry::ReleaseInfo>& releases,
                              const RootChain& roots);

}  // namespace notp::backup
