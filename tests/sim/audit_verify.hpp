// What `notp decisions verify` finds in the registry of a world: the real verifiers over its store.
#pragma once

#include "tests/sim/tree_attack.hpp"

namespace notp::sim {

std::vector<std::string> verify_audit(const MemoryAuditStore::Image& store,
                                      const wire::TreePart& tree,
                                      const std::vector<record::Checkpoint>& kept);

}  // namespace notp::sim
