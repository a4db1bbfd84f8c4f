// The version store behind the service: ledgers of immutable releases.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/delta/held_release.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/release_ref.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::registry {

// One release with everything that a registry needs to serve it. Immutable, shared between threads.
struct Snapshot : delta::HeldRelease {
  std::string publisher;  // identity that published it
  std::string message;
  std::string commit;  // Git commit id
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

// A row of a ledger's history: a snapshot without its content.
struct ReleaseInfo {
  trust::ReleaseRef ref;
  trust::Release release;
  Bytes envelope;
  std::string publisher;
  std::string message;
  std::string commit;
  // "<reason> (<identity> at <time>)", for people; empty: it is not withdrawn. A withdrawal is the
  // registry's statement, not the publisher's: no signature covers it.
  std::string withdrawn;
};
using ReleaseInfoPtr = std::shared_ptr<const ReleaseInfo>;

struct NewRelease {
  trust::ReleaseRef ref;
  Hash expected_head_hash;  // zero: the ledger has no release yet
  trust::Release release;
  trust::ReleaseEnvelope envelope;
  model::ModelContent content;
  std::string publisher;
  std::string message;
  // Releases between the head and this one are lost for good: its version need not be the next one,
  // and its `previous` is not compared then.
  bool follows_gap = false;
};

// A ledger that exists and cannot be served.
struct LedgerDamage {
  model::LedgerId ledger;
  Error error;  // for the log: what is broken, and where
};

// Blocking; called on the offload pool. Thread-safe: writes to one ledger are serialised inside.
class Registry {
 public:
  virtual ~Registry() = default;

  // Every ledger with at least one release.
  virtual std::vector<model::LedgerId> ledgers() const = 0;
  // The ledgers that are not served; every answer about them is kCorrupt.
  virtual std::vector<LedgerDamage> damaged() const = 0;
  // The damage of one ledger, in a message for a peer: no paths. nullopt: it is served, or does not
  // exist.
  virtual std::optional<Error> damage(const model::LedgerId& ledger) const = 0;
  // The newest release's facts, from memory. null: no such ledger, no release yet, or damaged.
  virtual ReleaseInfoPtr head(const model::LedgerId& ledger) const = 0;
  // Any release's facts, from memory. kNotFound, also for one that is lost.
  virtual Result<ReleaseInfoPtr> info(const model::LedgerId& ledger, uint64_t version) const = 0;
  // A release with its content: from memory, or from Git. kNotFound, kCorrupt.
  virtual Result<SnapshotPtr> snapshot(const model::LedgerId& ledger, uint64_t version) = 0;
  // Trees of the last kSnapshotsPerLedger releases with their versions, newest first, as far as
  // they are in memory: those published or read as a snapshot since the start, unless evicted. A
  // caller that needs the head's tree requests the head's snapshot first.
  virtual std::vector<std::pair<uint64_t, model::TreePtr>> recent_trees(
      const model::LedgerId& ledger) const = 0;
  // Newest first, versions below `below_version` (0: from the head). Lost releases have no row.
  virtual Result<std::vector<ReleaseInfoPtr>> history(const model::LedgerId& ledger,
                                                      uint64_t below_version,
                                                      size_t rows_max) const = 0;
  // Stores a release that has been verified and validated. Durable when it returns. kConflict when
  // the head is not `expected_head_hash`; a failure or a crash leaves nothing behind. kStatement
  // when it does not follow the head.
  virtual Result<SnapshotPtr> publish(NewRelease release) = 0;
  // Marks a release as one that must no longer be used for decisions. Durable when it returns. The
  // release stays in place, even as the head; only a new release supersedes it. A release that is
  // already withdrawn keeps its first reason. kNotFound, kUsage when the reason is empty or not
  // UTF-8, kLimit when it is longer than kErrorTextBytesMax.
  virtual Result<ReleaseInfoPtr> withdraw(const model::LedgerId& ledger, uint64_t version,
                                          std::string_view reason, std::string_view identity,
                                          TimeMs now_ms) = 0;
  // The newest kWithdrawnMax withdrawn releases, ascending by hash as a freshness statement lists
  // them, from memory. Empty when there is no such ledger.
  virtual std::vector<Hash> withdrawn(const model::LedgerId& ledger) const = 0;
};

}  // namespace notp::registry
