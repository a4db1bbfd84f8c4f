// What records need to know of the sets that decide: their description for the log, and the terms
// of their ledgers.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <span>

#include "common/atomic_shared.hpp"
#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "notp-client/decision/mask_rules.hpp"
#include "notp-client/pdp/pdp.hpp"
#include "notp-client/spool/decision_log.hpp"

namespace notp::decision {

// The masks of one ledger's terms, and which of them matched. Thread-safe.
struct LedgerMasks {
  std::string ledger;  // "zone/name"
  std::shared_ptr<const model::DecisionTerms> terms;
  Result<MaskRules> rules = MaskRules();
  std::atomic<uint64_t> matched = 0;   // a bit for each, since the last report
  std::atomic<bool> was_used = false;  // likewise

  // After a decision in which the masks with these bits matched.
  void count(uint64_t bits);
};

// A data path as segments.
using PathSegments = std::vector<std::string>;

// One ledger of a set.
struct RecordedLedger {
  std::string name;  // "zone/name"
  std::vector<PathSegments> roots, strict, drop;
  std::shared_ptr<LedgerMasks> masks;  // null: none

  bool owns(const PathSegments& path) const;
  // The longest dropped path that the path is at or below; nullptr: none, or a strict one is
  // longer.
  const PathSegments* dropped(const PathSegments& path) const;
  // Whether an answer about the path has a strict one in it.
  bool is_strict(const PathSegments& path) const;
};

// Immutable, but for counts.
struct RecordedSet {
  pdp::ActiveSetPtr source;     // null: unknown
  spool::ActiveSetPtr for_log;  // null likewise
  std::vector<RecordedLedger> ledgers;
  std::shared_ptr<const MaskRules> tokens;  // of every decision; null: none
  // Whether data.system.log.mask has ever given a rule: then it is needed for each record.
  mutable std::atomic<bool> has_policy_masks = false;

  // The ledger whose roots contain the path; nullptr: none.
  const RecordedLedger* owner(const PathSegments& path) const;
  // The ledgers whose masks apply: the owner; else those below the path, because a result has their
  // values; else all of them, because who asks a wrong path may send the same input.
  std::vector<const RecordedLedger*> concerned(const PathSegments& path) const;
};
using RecordedSetPtr = std::shared_ptr<const RecordedSet>;

// A mask that matched nothing in a whole period in which there were decisions.
struct UnmatchedMask {
  std::string ledger, pointer;
  bool operator==(const UnmatchedMask&) const = default;
};

// Thread-safe. of() takes a lock only for a set that it does not know.
class RecordedSets {
 public:
  // `engine`: as Pdp::kind(). `engine_version`: called for each new set; may be empty. `tokens`:
  // MaskRules::for_tokens() of this node.
  RecordedSets(std::string engine, std::function<std::string()> engine_version,
               std::shared_ptr<const MaskRules> tokens = nullptr);

  RecordedSetPtr of(const pdp::ActiveSetPtr& active);
  // Returns the unmatched masks of the sets that are known, and begins a new period.
  std::vector<UnmatchedMask> take_unmatched();

 private:
  using Known = std::vector<RecordedSetPtr>;  // newest first

  RecordedSetPtr make(const pdp::ActiveSetPtr& active, const Known& known) const;
  spool::ActiveSetPtr describe(const pdp::ActiveSet& active, const Known& known) const;

  const std::string engine_;
  const std::function<std::string()> engine_version_;
  const std::shared_ptr<const MaskRules> tokens_;
  const RecordedSetPtr unknown_ = std::make_shared<const RecordedSet>();
  AtomicShared<Known> known_{std::make_shared<const Known>()};
  Mutex changing_;  // held while known_ is replaced
};

// "a/b/c"; a '/' inside a segment is "%2F", and a '%' is "%25".
std::string recorded_path(const PathSegments& path);

}  // namespace notp::decision
