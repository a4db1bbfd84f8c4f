// Verification: one pure function of bytes, of what is trusted already, and of time, in the order
// of TUF 1.0.34 §5, used alike by agent, registry, command line, simulator and fuzzers.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "protocol/trust/statements.hpp"

namespace notp {

// The newest release that a holder has verified of one ledger. An all-zero floor accepts version 1
// and up.
struct Floor {
  uint64_t epoch = 0;
  uint64_t version = 0;
  Hash release_hash;  // of the release at (epoch, version)
  auto operator<=>(const Floor&) const = default;
};

// The floor that a release is once it is durable.
Floor floor_of(const ReleaseRef& ref);

struct LedgerTrust {
  Floor floor;   // the newest release verified here
  Floor listed;  // the head that the last freshness statement named; zero: none
  auto operator<=>(const LedgerTrust&) const = default;
};

// What a holder trusts before an update. Only moves forward.
struct Trusted {
  std::shared_ptr<const Root> root;
  uint64_t freshness_sequence = 0;  // of the last one accepted under root->freshness_keys
  std::map<LedgerId, LedgerTrust> ledgers;
  std::string audience;  // the holder's identity; freshness for another one is refused
};

// What arrived; each part may be missing. Views live as long as the call.
struct Update {
  std::vector<ByteView> root_chain;        // envelopes of N+1, N+2, … in this order
  std::optional<ByteView> freshness;       // envelope
  std::vector<LedgerId> expected;          // ledgers that the freshness statement must list
  std::optional<ByteView> release;         // envelope
  std::optional<LedgerId> release_ledger;  // the ledger that was asked for; set with release
};

struct VerifiedRoot {
  std::shared_ptr<const Root> root;
  Bytes envelope;  // verbatim
};
struct VerifiedFreshness {
  Freshness freshness;
  // Its heads of the ledgers that are followed here: expected, or trusted already. A statement may
  // list others; they are not looked at, so that nobody can make a holder remember them.
  std::map<LedgerId, Floor> listed;
  Bytes envelope;  // verbatim
};
struct VerifiedRelease {
  ReleaseRef ref;
  Release release;
  Bytes envelope;  // verbatim
};

// A release that stands every check but one: some keys of its delegation have signed it, and their
// number is looked at by nobody. Made by verify_waiting() alone; nothing turns it into a
// VerifiedRelease, and no holder may install it.
struct WaitingRelease {
  ReleaseRef ref;
  Release release;
  Envelope envelope;     // with the valid signatures alone, one for each key
  uint32_t signers = 0;  // at least 1
  uint32_t threshold = 0;
};

// One check, for people who want to see them all.
struct VerifyStep {
  // Stable, as in protocol/README.md: "root.threshold_old", "release.floor" …
  std::string_view check;
  std::string detail;  // what was compared, or why it failed
  bool passed = false;
};

// What stood the checks. With an error, what came before it counts: each root is kept as soon as it
// is verified, as TUF §5.3.8 demands.
struct Verdict {
  std::vector<VerifiedRoot> root_chain;
  bool freshness_key_changed = false;  // these roots drop one: sequence, listed heads start anew
  std::optional<VerifiedFreshness> freshness;
  std::optional<VerifiedRelease> release;
  std::optional<Error> error;
};

// A root that a person pinned: well formed, of `trust_domain`, signed by its own threshold of root
// keys. kEnvelope, kStatement, kWrongTarget, kSignature (below threshold), kRootInvalid (a pattern
// delegated twice). Does not look at the expiry: verify_update does, with its clock.
Result<Root> verify_pinned_root(ByteView envelope_bytes, std::string_view trust_domain,
                                std::vector<VerifyStep>* steps = nullptr);

// The one verification, in this order; the first check that fails ends it.
//   1. Roots, at most kRootStepsMax (kLimit): each is exactly one version above the one before
//      (kRollback when not above, kRootInvalid when further), of its domain (kWrongTarget), signed
//      by the threshold of the old keys and by that of the new ones (kSignature), with an epoch
//      that does not fall (kRollback) and no pattern twice (kRootInvalid). Then the last root must
//      not have expired (kExpired): checked when freshness or a release follows.
//   2. Freshness: signed by one of the root's freshness keys (kSignature), for this audience and
//      domain (kWrongTarget), of a root that is known here (kRootInvalid when the statement knows a
//      newer one), sequence above the last (kReplay), issued not later than `now_ms` and
//      kClockSkewMs (kClock), not expired (kExpired), every expected ledger there (kVanished), none
//      below its floor or listed head (kRollback), none equal to one with another hash
//      (kEquivocation).
//   3. Release: signed by the threshold of the first delegation that covers the ledger asked for
//      (kSignature), of this target, within the delegation's data roots and of an epoch that the
//      root has reached (kWrongTarget), not expired (kExpired), at or above the floor (kRollback),
//      the same hash when equal to the floor or the listed head (kEquivocation), and following the
//      floor when it is the next one (kEquivocation: `previous` is another release).
// `now_ms` is trusted time (TrustedClock); an instant that has come has passed. `steps`, when
// given, gets every check in order, the failed one last.
Verdict verify_update(const Update& update, const Trusted& trusted, TimeMs now_ms,
                      std::vector<VerifyStep>* steps = nullptr);

// A release that waits for signatures at a registry, by the same checks as in 3. kSignature when no
// key of the delegation has signed it. Whether it has enough signatures by now is for
// verify_update() to say.
Result<WaitingRelease> verify_waiting(ByteView envelope_bytes, const LedgerId& ledger,
                                      const Trusted& trusted, TimeMs now_ms);

// Moves what is trusted forward by what stood the checks. The release's floor moves when its
// content is durable, not here: call advance_floor() then. A floor never goes down.
void advance(Trusted& trusted, const Verdict& verdict);
void advance_floor(Trusted& trusted, const LedgerId& ledger, const Floor& floor);

}  // namespace notp
