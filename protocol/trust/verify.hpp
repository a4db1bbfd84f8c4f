// Verification: pure functions of bytes, keys, floors and time, in the order of TUF 1.0.34 §5, used
// alike by agent, registry, CLI, simulator and fuzzers.
#pragma once

#include "protocol/trust/statements.hpp"

namespace notp {

// The newest release that a holder has verified of one ledger. An all-zero floor accepts version 1
// and up.
struct Floor {
  uint64_t epoch = 0;
  uint64_t version = 0;
  Hash release;  // hash of the release at (epoch, version)
  auto operator<=>(const Floor&) const = default;
};

struct VerifiedRelease {
  Release release;
  Hash hash;       // release_hash of the payload
  Bytes envelope;  // verbatim
};

// A root that a person pinned: well formed, of `trust_domain`, signed by its own threshold of root
// keys. kEnvelope, kStatement, kWrongTarget, kSignature (below threshold), kRootInvalid (a pattern
// delegated twice). Does not look at the expiry: verify_release does, with its clock.
Result<Root> verify_pinned_root(ByteView envelope_bytes, std::string_view trust_domain);

// One release, in this order: envelope and type, signatures by the threshold of the delegation for
// the ledger, statement, target (domain, zone, ledger, an epoch that the root has reached), expiry
// (of root and release), floor. `now_ms` is wall time; an instant that has come has passed. A
// release equal to the floor is accepted again (same hash); the same version with another hash is
// kEquivocation; a lower (epoch, version) is kRollback.
Result<VerifiedRelease> verify_release(ByteView envelope_bytes, const Root& root,
                                       const LedgerId& ledger, const Floor& floor, TimeMs now_ms);

}  // namespace notp
