// The agent's durable state. A version is installed in one transaction with one fsync.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/age.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::store {

struct StoredRelease {
  trust::ReleaseRef ref;
  trust::ReleaseEnvelope envelope;
  bool confirmed = false;    // a PDP has decided with it
  bool quarantined = false;  // a PDP refused it, or its gate holds it; error says why
  std::string error;
  TimeMs stored_ms = 0;   // trusted time at which it was accepted
  bool has_gate = false;  // its manifest has one
  bool held = false;      // quarantined by its gate
  bool released = false;  // by a person: the gate does not apply here any more
  // trust::check_keys_only(): set at its installation and by agent::mark_keys_only(); not stored.
  bool is_keys_only = false;
};
// Projection for searches.
inline uint64_t version_of(const StoredRelease& release) { return release.ref.version; }

struct StoredLedger {
  trust::Floor floor;   // never decreases
  trust::Floor listed;  // head in the last freshness statement; zero: none under this freshness key
  std::vector<StoredRelease> releases;  // newest first
};

struct StoredRoot {
  uint64_t version = 0;
  Bytes envelope;
};

// A freshness statement that this node accepted.
struct StoredStatement {
  Bytes envelope;
  TimeMs accepted_ms = 0;  // trusted time
};

struct StoreState {
  std::vector<StoredRoot> root_chain;  // oldest first, without gaps
  uint64_t freshness_sequence = 0;
  // Oldest first: the last one, and those before it that were the last to attest a release that is
  // still stored.
  std::vector<StoredStatement> statements;
  Bytes assignment;  // the envelope of the last one accepted; empty: none under this freshness key
  trust::ClockMarks clock;
  std::map<model::LedgerId, StoredLedger> ledgers;
  // Damage, for the operator: damaged entries are left out, the others are as they were stored.
  std::vector<Error> findings;
};

// A freshness statement that was accepted, as the record to store.
struct FreshnessKeep {
  uint64_t sequence = 0;
  Bytes envelope;
  std::map<model::LedgerId, trust::Floor> listed;
  // Releases for which the previous statement was the last to attest them.
  std::vector<std::pair<model::LedgerId, Hash>> parted;
  trust::ClockMarks clock;       // its wall_ms: trusted time
  bool sets_clock_back = false;  // sets the stored mark to `clock` even if the mark is later
};

// A verified release that becomes the head of its ledger, and the older ones that stay.
struct InstallRecord {
  trust::ReleaseRef ref;
  trust::Release release;
  trust::ReleaseEnvelope envelope;
  model::TreePtr tree;
  model::BlobMap new_blobs;           // contents that no stored release has yet
  std::optional<uint64_t> confirmed;  // also marks this older version as confirmed
  // Older versions that stay. All other releases of the ledger are dropped: the store does not
  // choose.
  std::set<uint64_t> kept_versions;
  TimeMs now_ms = 0;      // trusted time
  bool has_gate = false;  // as in StoredRelease
};

// Used from one thread at a time. After any crash the store holds the state before or after a call,
// never a mix.
class Store {
 public:
  virtual ~Store() = default;
  virtual Result<StoreState> load() = 0;
  // kNotFound when the release is not kept; kCorrupt when its rows do not give its content root.
  virtual Result<model::TreePtr> tree(const model::LedgerId& ledger, uint64_t version) = 0;
  // kNotFound; kCorrupt when the stored bytes do not have that hash.
  virtual Result<model::Content> blob(const Hash& hash) = 0;
  // Returns the contents of a release that are missing or do not match their hash: each once, in
  // the order of the paths. Reads all of it. The codes of tree() when the file list is unusable;
  // kIo.
  virtual Result<std::vector<Hash>> damaged(const model::LedgerId& ledger, uint64_t version) = 0;
  // One durable transaction: release, content, floor, mark of trusted time; drops the releases that
  // the record does not keep. kRollback when it would lower the floor (a caller's mistake that must
  // not become durable).
  virtual Result<void> install(const InstallRecord& record) = 0;
  // kGateHeld: its gate holds it; any other code: a PDP refused it.
  virtual Result<void> quarantine(const model::LedgerId& ledger, uint64_t version,
                                  const Error& error) = 0;
  // The gate does not apply to it any more; one that was held is not any longer.
  virtual Result<void> release(const model::LedgerId& ledger, uint64_t version) = 0;
  virtual Result<void> confirm(const model::LedgerId& ledger, uint64_t version) = 0;
  // Adds the next root of the chain; the first one may have any version. With
  // `freshness_key_changed` the sequence, the listed heads and the assignment are reset in the same
  // transaction.
  // kRollback when it does not follow the newest one; a root that is already stored is kept
  // unchanged.
  virtual Result<void> pin_root(const StoredRoot& root, bool freshness_key_changed) = 0;
  // One transaction: statement, sequence, listed heads, marks of time. kReplay when the sequence
  // is not above the last (a caller's mistake that must not become durable).
  virtual Result<void> keep_freshness(const FreshnessKeep& keep) = 0;
  // Replaces the assignment. kReplay when its sequence is below that of the stored one (a caller's
  // mistake that must not become durable).
  virtual Result<void> keep_assignment(uint64_t sequence, ByteView envelope) = 0;
  // Raises the marks; never lowers one.
  virtual Result<void> keep_time(const trust::ClockMarks& marks) = 0;
  // For an operator whose clock was once far ahead: sets the mark of trusted time, and every later
  // acceptance time, to `wall_ms`.
  virtual Result<void> reset_clock(TimeMs wall_ms) = 0;
  // Drops the releases of a ledger that is no longer configured. Its floor and its listed head stay
  // for ever, so that the ledger, if configured again, gets no older release. collect_garbage()
  // deletes the content. A ledger without releases costs no write.
  virtual Result<void> drop(const model::LedgerId& ledger) = 0;
  // Runs one bounded step of deleting what dropped releases have left: call it in idle time,
  // repeatedly while it returns true. install() and drop() leave that work to it.
  virtual Result<bool> collect_garbage() { return false; }
};

// The changes that a node makes durable besides installing a release: each is one transaction.
namespace change {
// Store::pin_root(). Durable before anything that depends on the root.
struct PinRoot {
  StoredRoot root;
  bool freshness_key_changed = false;
};
// Store::keep_freshness().
struct KeepFreshness {
  FreshnessKeep keep;
};
// Store::keep_assignment(). Durable before the statement that it is needed for.
struct KeepAssignment {
  uint64_t sequence = 0;
  Bytes envelope;
};
// Store::keep_time().
struct KeepTime {
  trust::ClockMarks marks;
};
// Store::quarantine(): a PDP refused the release, or its gate holds it.
struct Quarantine {
  model::LedgerId ledger;
  uint64_t version = 0;
  Error error;
};
// Store::release(): a person let go what the gate held.
struct Release {
  model::LedgerId ledger;
  uint64_t version = 0;
};
// Store::confirm(): a PDP has decided with the release.
struct Confirm {
  model::LedgerId ledger;
  uint64_t version = 0;
};
// Store::drop(): the ledger is not configured any more.
struct DropLedger {
  model::LedgerId ledger;
};
}  // namespace change

using StoreChange =
    std::variant<change::PinRoot, change::KeepFreshness, change::KeepAssignment, change::KeepTime,
                 change::Quarantine, change::Release, change::Confirm, change::DropLedger>;

// Makes the change durable. The errors of the method of Store that the change names. Blocking.
Result<void> apply_change(Store& store, const StoreChange& change);

// A piece of an artifact that has not arrived in full.
struct StagedPiece {
  model::LedgerId ledger;
  uint64_t version = 0;
  Hash artifact;        // its id
  uint64_t size = 0;    // of the whole artifact
  uint64_t offset = 0;  // of `bytes` in it
  Bytes bytes;
};

// The received parts of incomplete artifacts: one for each ledger. It saves transfers, and nothing
// depends on it: what is lost is fetched again, what is wrong fails verification. Used from one
// thread at a time.
class Staging {
 public:
  virtual ~Staging() = default;
  // Returns the intact front of each artifact.
  virtual std::vector<StagedPiece> load() = 0;
  // With offset 0 the artifact replaces the ledger's staged one; any other piece is appended if it
  // follows the staged bytes, and ignored otherwise. kIo: what was staged is unchanged.
  virtual Result<void> write(const StagedPiece& piece) = 0;
  virtual void drop(const model::LedgerId& ledger) = 0;
};

}  // namespace notp::store
