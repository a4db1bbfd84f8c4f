// The agent's durable state. One transaction with one fsync swaps a version.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/age.hpp"
#include "protocol/trust/verify.hpp"

namespace notp {

struct StoredRelease {
  ReleaseRef ref;
  Bytes envelope;
  bool confirmed = false;    // a PDP has decided with it
  bool quarantined = false;  // a PDP refused it; error says why
  std::string error;
  TimeMs stored_ms = 0;  // trusted time at which it was accepted
};
// To search by.
inline uint64_t version_of(const StoredRelease& release) { return release.ref.version; }

struct StoredLedger {
  Floor floor;   // never goes down
  Floor listed;  // head of the last freshness statement; zero: none under this freshness key
  std::vector<StoredRelease>
      releases;  // newest first; at most releases_kept, the confirmed one included
};

struct StoredRoot {
  uint64_t version = 0;
  Bytes envelope;
};

// A freshness statement that was accepted here.
struct StoredStatement {
  Bytes envelope;
  TimeMs accepted_ms = 0;  // trusted time
};

struct StoreState {
  std::vector<StoredRoot> root_chain;  // oldest first, without gaps
  uint64_t freshness_sequence = 0;
  // Oldest first: the last one, and those before it that were the last to vouch for a release that
  // is still stored.
  std::vector<StoredStatement> statements;
  ClockMarks clock;
  std::map<LedgerId, StoredLedger> ledgers;
  // What is damaged and was left out, for people: what is left is as it was stored.
  std::vector<Error> findings;
};

// A freshness statement that was accepted.
struct FreshnessKeep {
  uint64_t sequence = 0;
  Bytes envelope;
  std::map<LedgerId, Floor> listed;
  // Releases that the statement before this one was the last to vouch for.
  std::vector<std::pair<LedgerId, Hash>> parted;
  ClockMarks clock;              // its wall_ms: trusted time
  bool sets_clock_back = false;  // the stored mark becomes that even if it is later
};

// A verified release that replaces the head of its ledger.
struct Swap {
  ReleaseRef ref;
  Release release;
  Bytes envelope;
  TreePtr tree;
  BlobMap new_blobs;                  // contents that no stored release has yet
  std::optional<uint64_t> confirmed;  // also mark this older version as confirmed
  TimeMs now_ms = 0;                  // trusted time
};

// Used from one thread at a time. After any crash the store holds the state before or after a call,
// never a mix.
class Store {
 public:
  virtual ~Store() = default;
  virtual Result<StoreState> load() = 0;
  // kNotFound when the release is not kept; kCorrupt when its rows do not give its content root.
  virtual Result<TreePtr> tree(const LedgerId& ledger, uint64_t version) = 0;
  // kNotFound; kCorrupt when the stored bytes do not have that hash.
  virtual Result<Content> blob(const Hash& hash) = 0;
  // What of a release's content is missing or does not read back with its hash: each once, in the
  // order of the paths. Reads all of it. The codes of tree(), when the file list is no good; kIo.
  virtual Result<std::vector<Hash>> damaged(const LedgerId& ledger, uint64_t version) = 0;
  // One durable transaction: release, content, floor, mark of trusted time; drops releases beyond
  // those kept. kRollback when it would lower the floor (a caller's mistake that must not become
  // durable).
  virtual Result<void> swap(const Swap& swap) = 0;
  virtual Result<void> quarantine(const LedgerId& ledger, uint64_t version, const Error& error) = 0;
  virtual Result<void> confirm(const LedgerId& ledger, uint64_t version) = 0;
  // Adds the next root of the chain; the first one may have any version. With
  // `freshness_key_changed` the sequence and the listed heads start anew in the same transaction.
  // kRollback when it does not follow the newest one; what is there already is kept as it is.
  virtual Result<void> pin_root(const StoredRoot& root, bool freshness_key_changed) = 0;
  // One transaction: statement, sequence, listed heads, marks of time. kReplay when the sequence
  // is not above the last (a caller's mistake that must not become durable).
  virtual Result<void> keep_freshness(const FreshnessKeep& keep) = 0;
  // Raises the marks; never lowers one.
  virtual Result<void> keep_time(const ClockMarks& marks) = 0;
  // For a person whose clock was once far ahead: sets the mark of trusted time, and whatever was
  // accepted after it, to `wall_ms`.
  virtual Result<void> reset_clock(TimeMs wall_ms) = 0;
  // Forgets a ledger that is no longer in the configuration, but never its floor.
  virtual Result<void> drop(const LedgerId& ledger) = 0;
  // One bounded step of deleting what dropped releases have left behind: for idle time, again while
  // it returns true. A swap leaves that work to it.
  virtual Result<bool> collect() { return false; }
};

// A piece of an artifact that has not arrived whole.
struct StagedPiece {
  LedgerId ledger;
  uint64_t version = 0;
  Hash artifact;        // its id
  uint64_t size = 0;    // of the whole artifact
  uint64_t offset = 0;  // of `bytes` in it
  Bytes bytes;
};

// What has arrived of artifacts that are not whole yet: one for each ledger. It saves sending bytes
// again, and nothing depends on it: what is lost is fetched again, what is wrong fails
// verification. Used from one thread at a time.
class Staging {
 public:
  virtual ~Staging() = default;
  // The front of each artifact, as far as it is whole.
  virtual std::vector<StagedPiece> load() = 0;
  // With offset 0 the artifact replaces what is staged of its ledger; another piece is added if it
  // follows what is there, and ignored if it does not. kIo: what was there still is.
  virtual Result<void> write(const StagedPiece& piece) = 0;
  virtual void drop(const LedgerId& ledger) = 0;
};

}  // namespace notp
