// The registry's tree in a world: the real TreeLog and Receipts over a disk in memory, sealed as
// TreeWriter does. It can lie; then it remembers which receipts were lies, and to whom, and a node
// that cosigns one is a violation.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "notp-server/audit_tree/receipts.hpp"
#include "tests/sim/memory_audit_store.hpp"
#include "tests/sim/memory_tree_store.hpp"
#include "tests/sim/tree_attack.hpp"
#include "tests/sim/world_port.hpp"

namespace notp::sim {

// One thread.
class SimTree {
 public:
  // The checkpoint that a node's disk has of a tree, if the next one must go on from it.
  using Kept = std::function<std::optional<record::Checkpoint>(size_t node)>;

  explicit SimTree(WorldPort& world);
  void set_kept(Kept kept) { kept_ = std::move(kept); }

  // --- the registry's process
  // It has ended, and begins: leaves that were not sealed are made again of what the store has.
  void start(const MemoryAuditStore& store);
  // An operator has put the store back, and begins another tree.
  void begin_another(const MemoryAuditStore& store);
  // The disk as a backup has it.
  MemoryTreeStore::Image backup() const { return branches_.front().disk->image(); }

  // --- the intake
  void stored(const audit::StoredSegment& segment);
  void append(record::TreeEntry entry);
  // The session has the grant of an offered log.
  void granted(size_t node, uint64_t link, const wire::LogOffer& offer);
  // `may_refuse`: the node goes on with an older copy of the log, whose roots are others.
  void witnessed(size_t node, uint64_t link, const wire::LogWitness& witness,
                 const std::optional<PublicKey>& key, bool may_refuse);

  // --- lies
  // From now on, to a node; the caller cuts the sessions. False: there is nothing to lie about yet.
  bool attack(TreeAttack attack, size_t victim, const MemoryAuditStore& store);
  // As kRollBack, with the tree of a backup.
  void go_back(MemoryTreeStore::Image image, const MemoryAuditStore& store);
  // Lies that were sent.
  uint64_t lies() const { return lies_; }
  // Nodes whose receipts came from another branch than the one that an auditor is shown.
  const std::set<size_t>& misled() const { return misled_; }

  // Seals what an honest registry says of bodies that it has deleted: of each whole segment of a
  // log that is not dropped by its node.
  void state_deletion(const MemoryAuditStore::Image& store);
  // All that an auditor gets.
  wire::TreePart part() const;
  uint64_t receipts() const { return counters_.receipts; }
  uint64_t cosignatures() const { return counters_.cosignatures; }
  uint64_t refusals() const { return counters_.refusals; }

 private:
  struct Branch {
    std::unique_ptr<MemoryTreeStore> disk;
    std::unique_ptr<audit::TreeLog> tree;
    std::unique_ptr<audit::Receipts> receipts;
    std::vector<record::TreeEntry> waiting;
  };
  struct Session {
    size_t node = 0;
    bool is_lied_to = false;  // in the last receipt
  };

  void open(Branch& branch);
  void make_up(const MemoryAuditStore& store);
  void replace_tree(std::optional<record::LogId> previous);
  std::optional<record::TreeEntry> leaf_of(const audit::StoredSegment& segment);
  Branch& branch_of(size_t node);
  void seal_soon();
  void seal();
  bool send(size_t node, uint64_t link, wire::LogReceipt receipt);
  // Whether the node must not cosign it.
  bool is_lie(size_t node, const wire::LogReceipt& receipt);

  WorldPort& world_;
  Kept kept_;
  size_t key_number_ = 0;  // of the tree
  Bytes announcement_;
  std::vector<Branch> branches_;  // the second one only in a fork
  audit::ReceiptCounters counters_;
  bool is_seal_armed_ = false;
  std::map<uint64_t, Session> sessions_;                // by link
  std::map<uint64_t, MemoryTreeStore::Image> history_;  // after each seal, by size

  TreeAttack attack_ = TreeAttack::kNone;
  size_t victim_ = 0;
  std::set<std::pair<record::LogId, uint64_t>> false_leaves_;  // logs and their sizes
  std::map<record::LogId, wire::LogReceipt> old_receipts_;     // the first of each log
  uint64_t common_ = 0;  // leaves that two branches have in common
  std::set<size_t> misled_;
  uint64_t lies_ = 0;
};

}  // namespace notp::sim
