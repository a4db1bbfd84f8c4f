// Limits on the number of stored identities.
#pragma once

#include <cstddef>

namespace notp::limits {

// Names of nodes whose key is known: some hundred bytes each, in memory and on disk.
inline constexpr size_t kKnownNodesMax = 100'000;
// Used tokens whose certificate is kept for a node that lost the answer: some kilobytes each.
inline constexpr size_t kUsedTokensMax = 1'000;

}  // namespace notp::limits
