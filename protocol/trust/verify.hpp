// Verification: one pure function of bytes, of the trusted state, and of time, in the order of TUF
// 1.0.34 §5, used alike by agent, registry, command line, simulator and fuzzers.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "protocol/trust/release_envelope.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::trust {

// The newest release of one ledger that a holder has verified. An all-zero floor accepts version 1
// and up.
struct Floor {
  uint64_t epoch = 0;
  uint64_t version = 0;
  Hash release_hash;  // of the release at (epoch, version)
  auto operator<=>(const Floor&) const = default;
};

// Returns the floor for a release that has become durable.
Floor floor_of(const ReleaseRef& ref);

struct LedgerTrust {
  Floor floor;   // the newest release verified here
  Floor listed;  // the head that the last freshness statement named; zero: none
  auto operator<=>(const LedgerTrust&) const = default;
};

// The trusted state of a holder before an update. Only moves forward.
struct Trusted {
  std::shared_ptr<const Root> root;
  uint64_t freshness_sequence = 0;  // of the last one accepted under root->freshness_keys
  std::map<model::LedgerId, LedgerTrust> ledgers;
  std::string audience;  // the holder's identity; freshness for another one is refused
  // The last one accepted under root->freshness_keys, expired or not.
  std::optional<Assignment> assignment = {};
};

// The received statements; each part may be missing. Views live as long as the call.
struct Update {
  std::vector<ByteView> root_chain;               // envelopes of N+1, N+2, … in this order
  std::optional<ByteView> freshness;              // envelope, of either type
  std::vector<model::LedgerId> expected;          // ledgers that the freshness statement must list
  std::optional<ReleaseEnvelope> release;         // what is read already is not parsed again
  std::optional<model::LedgerId> release_ledger;  // the requested ledger; set with release
  std::optional<ByteView> assignment = {};        // envelope; verified before freshness
};

struct VerifiedRoot {
  std::shared_ptr<const Root> root;
  Bytes envelope;  // verbatim
};
struct VerifiedFreshness {
  Freshness freshness;
  // The heads of ledgers that are followed here: expected, or trusted already. Other heads of the
  // statement are ignored, so that they cannot make a holder remember them.
  std::map<model::LedgerId, Floor> listed;
  Bytes envelope;  // verbatim
};
struct VerifiedAssignment {
  Assignment assignment;
  Bytes envelope;  // verbatim
};
struct VerifiedRelease {
  ReleaseRef ref;
  ReleaseEnvelope envelope;  // verbatim, read

  const Release& release() const { return envelope.release(); }
};

// A release that passes every check but one: the number of keys of its delegation that have signed
// it is not checked. Only verify_waiting() and verify_unsigned() make one; it cannot become a
// VerifiedRelease, and a holder must not install it.
struct WaitingRelease {
  ReleaseRef ref;
  ReleaseEnvelope envelope;  // as received, read
  Envelope valid;            // with only the valid signatures, one for each key
  uint32_t signers = 0;      // 0: by verify_unsigned()
  uint32_t threshold = 0;

  const Release& release() const { return envelope.release(); }
};

// One check, for people who review all of them.
struct VerifyStep {
  // Stable, as in protocol/README.md: "root.threshold_old", "release.floor" …
  std::string_view check;
  std::string detail;  // the compared values, or the reason of a failure
  bool passed = false;
};

// The outcome of the checks. After an error, the earlier results count: each root is kept as soon
// as it is verified, as TUF §5.3.8 requires.
struct Verdict {
  std::vector<VerifiedRoot> root_chain;
  // These roots drop one: sequence, listed heads and assignment restart.
  bool freshness_key_changed = false;
  std::optional<VerifiedAssignment> assignment;
  std::optional<VerifiedFreshness> freshness;
  std::optional<VerifiedRelease> release;
  std::optional<Error> error;
};

// Verifies a root that a person pinned: well formed, of `trust_domain`, signed by its own threshold
// of root keys. kEnvelope, kStatement, kWrongTarget, kSignature (below threshold), kRootInvalid (a
// pattern delegated twice). Does not check the expiry: verify_update() does, with its clock.
Result<Root> verify_pinned_root(ByteView envelope_bytes, std::string_view trust_domain,
                                std::vector<VerifyStep>* steps = nullptr);

// Verifies an update, in this order; the first check that fails ends it.
//   1. Roots, at most kRootStepsMax (kLimit): each is exactly one version above the one before
//      (kRollback when not above, kRootInvalid when further), of its domain (kWrongTarget), signed
//      by the threshold of the old keys and by that of the new ones (kSignature), with an epoch
//      that does not fall (kRollback) and no pattern twice (kRootInvalid). Then the last root must
//      not have expired (kExpired): checked when anything else follows.
//   2. Assignment: signed by one of the root's freshness keys (kSignature), for this audience and
//      domain (kWrongTarget), of a root that is known here (kRootInvalid), sequence not below the
//      last (kReplay), the same statement when equal (kEquivocation), issued not later than
//      `now_ms` and kClockSkewMs (kClock), not expired (kExpired).
//   3. Freshness: signed by one of the root's freshness keys (kSignature), for this audience, or
//      for the class of its assignment (kWrongTarget), which has not expired (kExpired), and for
//      this domain (kWrongTarget), of a root that is known here (kRootInvalid when the statement
//      knows a newer one), sequence above the last (kReplay), issued not later than `now_ms` and
//      kClockSkewMs (kClock), not expired (kExpired), every expected ledger there (kVanished), none
//      below its floor or listed head (kRollback), none equal to one with another hash
//      (kEquivocation).
//   4. Release: signed by the threshold of the first delegation that covers the ledger asked for
//      (kSignature), of this target, within the delegation's data roots and of an epoch that the
//      root has reached (kWrongTarget), not expired (kExpired), at or above the floor (kRollback),
//      the same hash when equal to the floor or the listed head (kEquivocation), and following the
//      floor when it is the next one (kEquivocation: `previous` is another release).
// `now_ms` is trusted time (TrustedClock); an instant equal to it has passed. `steps`, if given,
// receives every check in order, the failed one last.
Verdict verify_update(const Update& update, const Trusted& trusted, TimeMs now_ms,
                      std::vector<VerifyStep>* steps = nullptr);

// The same for a release alone, with the error of the check that failed.
Result<VerifiedRelease> verify_release(ReleaseEnvelope envelope, const model::LedgerId& ledger,
                                       const Trusted& trusted, TimeMs now_ms);

// Verifies a pending release of a registry by the same checks as in 4. kSignature when no key of
// the delegation has signed it. Only verify_update() decides whether it has enough signatures.
Result<WaitingRelease> verify_waiting(ReleaseEnvelope envelope, const model::LedgerId& ledger,
                                      const Trusted& trusted, TimeMs now_ms);

// The same for a proposal that no key has signed yet, by an author who is known by other means: its
// statement is parsed without a signature. kSignature when the envelope has signatures, or no
// delegation covers the ledger.
Result<WaitingRelease> verify_unsigned(ReleaseEnvelope envelope, const model::LedgerId& ledger,
                                       const Trusted& trusted, TimeMs now_ms);

// verify_unsigned() for an envelope without signatures, else verify_waiting().
Result<WaitingRelease> verify_pending(ReleaseEnvelope envelope, const model::LedgerId& ledger,
                                      const Trusted& trusted, TimeMs now_ms);

// Advances the trusted state by the verified results. The release's floor moves when its content is
// durable, not here: call advance_floor() then. A floor never goes down.
void advance(Trusted& trusted, const Verdict& verdict);
void advance_floor(Trusted& trusted, const model::LedgerId& ledger, const Floor& floor);

}  // namespace notp::trust
