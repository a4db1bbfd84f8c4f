// Identifies a release: the five facts that all components pass on.
#pragma once

#include <compare>
#include <cstdint>

#include "common/crypto/digest.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::trust {

struct ReleaseRef {
  model::LedgerId ledger;
  uint64_t epoch = 0;
  uint64_t version = 0;  // 0: no release
  Hash release_hash;     // release_hash() of the statement: its identity, whatever its signatures
  Hash content_root;
  auto operator<=>(const ReleaseRef&) const = default;
};

}  // namespace notp::trust
