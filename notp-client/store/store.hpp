// The agent's durable state. One transaction with one fsync swaps a version.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/verify.hpp"

namespace notp {

struct StoredRelease {
  LedgerId ledger;
  uint64_t version = 0;
  uint64_t epoch = 0;
  Hash release;  // release hash
  Hash content_root;
  Bytes envelope;
  bool confirmed = false;    // a PDP has decided with it
  bool quarantined = false;  // a PDP refused it; error says why
  std::string error;
  TimeMs stored_ms = 0;
};

struct StoredLedger {
  Floor floor;  // never goes down
  std::vector<StoredRelease>
      releases;  // newest first; at most releases_kept, the confirmed one included
};

struct StoreState {
  uint64_t root_version = 0;
  Bytes root_envelope;       // empty: none pinned
  TimeMs high_water_ms = 0;  // the latest wall time ever seen
  std::map<LedgerId, StoredLedger> ledgers;
};

// A verified release that replaces the head of its ledger.
struct Swap {
  LedgerId ledger;
  Release release;
  Hash hash;
  Bytes envelope;
  TreePtr tree;
  BlobMap new_blobs;                  // contents that no stored release has yet
  std::optional<uint64_t> confirmed;  // also mark this older version as confirmed
  TimeMs now_ms = 0;
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
  // One durable transaction: release, content, floor, high-water mark; drops releases beyond those
  // kept. kRollback when it would lower the floor (a caller's mistake that must not become
  // durable).
  virtual Result<void> swap(const Swap& swap) = 0;
  virtual Result<void> quarantine(const LedgerId& ledger, uint64_t version, const Error& error) = 0;
  virtual Result<void> confirm(const LedgerId& ledger, uint64_t version) = 0;
  // kRollback when `version` is below the one pinned.
  virtual Result<void> pin_root(uint64_t version, ByteView envelope) = 0;
  // Forgets a ledger that is no longer in the configuration, but never its floor.
  virtual Result<void> drop(const LedgerId& ledger) = 0;
};

}  // namespace notp
