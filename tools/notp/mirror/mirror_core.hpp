// Decides what a mirror does with the tip of its upstream repository: pure functions of facts that
// the caller has gathered. No I/O, no clock.
//
// The source that the head's release names is the memory of a mirror: what was released last, and
// whether the upstream history still contains it. A file of the mirror may save work, and decides
// nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/digest.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::cli {

enum class OnRewrite : uint8_t { kHold, kFollow };

struct MirrorRules {
  std::string ledger;      // for texts
  std::string repository;  // as configured
  OnRewrite on_rewrite = OnRewrite::kHold;
  bool can_sign = false;  // there is a signing key
  Hash digest;            // of all that determines a release besides the tip: path, manifest, …
};

struct MirrorTip {
  std::string ref, commit;  // full name of the ref; hexadecimal id
  bool is_tag() const { return ref.starts_with("refs/tags/"); }
};

struct MirrorHead {
  uint64_t version = 0;
  Hash release_hash;
  // Of the verified release, once MirrorFacts::is_head_read.
  Hash content_root;
  std::optional<trust::Source> source;
};

// A release of the ledger that waits for signatures.
struct MirrorPending {
  uint64_t version = 0;
  Hash release_hash;
  trust::Source source;
  Hash content_root;
  uint64_t signers = 0;
  bool is_signed_here = false;  // by this mirror's key
};

// What an earlier pass found out about a tip, under the same head and rules.
struct MirrorChecked {
  enum class Outcome : uint8_t {
    kSameContent,
    kInvalid,
    kPending,  // it was left pending
  };
  std::string commit;
  Hash head_hash;  // zero: the ledger had no release
  Hash rules;      // MirrorRules::digest
  Outcome outcome = Outcome::kSameContent;
  std::string message;  // why it is invalid
};

// Whether the tip carries the signatures that the rules ask for.
struct MirrorVerification {
  bool is_good = false;
  std::string signer;   // of a good one; empty: none is asked for
  std::string message;  // of a bad one
};

// Facts that no step has gathered yet are absent.
struct MirrorFacts {
  MirrorTip tip;
  std::optional<MirrorHead> head;  // nullopt: the ledger has no release
  std::vector<MirrorPending> pending;
  std::optional<MirrorChecked> checked;

  bool is_head_read = false;
  bool is_fetched = false;
  std::optional<MirrorVerification> verification;
  std::optional<bool> has_head_commit;      // the head's commit is the tip or an ancestor of it
  std::optional<bool> has_checked_content;  // at the path, the tree of `checked->commit`
  std::optional<Hash> content_root;         // of the content that was built from the tip
  std::optional<std::string> invalid;       // why that content cannot be released
};

// The steps that gather facts, then those that end a pass.
enum class MirrorStep : uint8_t {
  kReadHead,        // sets is_head_read
  kFetch,           // sets is_fetched
  kVerify,          // sets verification
  kCompareHistory,  // sets has_head_commit
  kComparePath,     // sets has_checked_content
  kBuild,           // sets content_root, and invalid
  kPublish,         // sign and publish; it stays pending when more signatures are needed
  kPropose,         // leave it pending without a signature, for a person
  kNothing,
};

enum class MirrorState : uint8_t {
  kUnknown,  // no pass has ended yet
  kCurrent,  // the head is what upstream has
  kWaiting,  // a release waits for signatures, as the rules have it
  kHeld,     // a person has to look
  kRefused,  // upstream's content is not valid
  kFailing,  // the last pass did not end
};

enum class MirrorReason : uint8_t {
  kNone,
  kSignature,    // the tip is unsigned, or signed by others than the rules allow
  kMovedTag,     // the tag of the head's release names another commit
  kRewritten,    // the head's commit is not in the history of the tip
  kOtherSource,  // the head was published from elsewhere
  kNoKey,        // the mirror has no signing key
  kThreshold,    // more signatures are needed
  kInvalidModel,
  kUpstream,  // the upstream repository cannot be read
  kRegistry,  // the registry cannot be reached, or refuses
};

std::string_view mirror_state_name(MirrorState state);
std::string_view mirror_reason_name(MirrorReason reason);
// kUnknown, kNone for other texts.
MirrorState parse_mirror_state(std::string_view name);
MirrorReason parse_mirror_reason(std::string_view name);

struct MirrorDecision {
  MirrorStep step = MirrorStep::kNothing;
  // After a step that ends the pass; for kPublish, when it has been published.
  MirrorState state = MirrorState::kUnknown;
  MirrorReason reason = MirrorReason::kNone;
  std::string message;  // for a person; empty when the state is kCurrent
};

// Asks for one fact after the other, in an order in which nothing of a tip is looked at before its
// signatures, until it can decide.
MirrorDecision decide_mirror(const MirrorRules& rules, const MirrorFacts& facts);

// The release of the tip that waits to follow the head; none when it has other content than is
// known of the tip.
const MirrorPending* find_pending(const MirrorFacts& facts, const std::string& repository);

// Releases that this mirror left pending for another tip, another head or other rules, or for a tip
// that is not signed well any more, and that no person has signed: neither upstream nor the
// configuration stands by them, and a ledger has few places.
std::vector<Hash> superseded_pending(const MirrorFacts& facts, const std::string& repository);

}  // namespace notp::cli
