// What a node keeps of its registry's tree, and what it makes of a receipt: pure. The node is a
// witness: it cosigns a checkpoint of the tree after it has verified that the tree has its own log
// and all that it has cosigned before. notp-client/spool/README.md, "The registry's tree".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/clock.hpp"
#include "protocol/record/announcement.hpp"
#include "protocol/record/checkpoint.hpp"
#include "protocol/wire/messages/decision_log.hpp"

namespace notp::spool {

// The registry that a session has authenticated.
struct ReceiptPeer {
  std::string registry;  // SPIFFE id
  std::string trust_domain;
};

// A receipt that was refused. The first one lasts until a person accepts the tree.
struct TreeRefusal {
  TimeMs time_ms = 0;   // wall clock
  std::string message;  // for a person
  std::string note;     // the checkpoint that contradicts, as it came
  record::LogId tree;   // that it belongs to, as far as is known
  Bytes announcement;   // that came with it
};

// What the node knows of a checkpoint that it has signed.
struct OwnCheckpoint {
  Hash root;
  bool has_body = false;  // of the segment that ends there: the node has it, and never dropped it
};

// What is kept of a tree: one durable value.
struct TreeState {
  Bytes announcement;      // of the tree; empty: no receipt was verified yet
  std::string checkpoint;  // the newest one that was verified
  // The node's log, its newest checkpoint that the tree was shown to have, and that one's leaf.
  record::LogId log;
  record::Position size = 0;
  uint64_t index = 0;
  TimeMs time_ms = 0;  // wall clock: when that was verified
  std::optional<TreeRefusal> refusal;
  // A person has said that the next checkpoint of this tree is to be taken as the first.
  std::optional<record::LogId> accepted;
};

// One thread.
class ReceiptBook {
 public:
  ReceiptBook() = default;
  // kCorrupt: not what a book keeps.
  static Result<ReceiptBook> open(TreeState state);

  const TreeState& state() const { return state_; }
  // What a Hello says of the tree; nullopt: no checkpoint is kept that the next one must contain.
  std::optional<record::LogId> offered_tree() const;
  uint64_t tree_size() const { return offered_tree() ? checkpoint_.size : 0; }
  bool knows_tree() const { return announcement_.has_value(); }
  // Records of `log` below it are in the tree.
  record::Position witnessed(const record::LogId& log) const;
  // Below which acknowledged segments of `log` may be deleted as usual. What a registry has
  // acknowledged is evidence once its tree was refused, as far as no receipt covers it.
  record::Position free_below(const record::LogId& log, record::Position acknowledged) const;

  // Verifies a receipt for the node whose checkpoint at receipt.size is `own`, and returns what to
  // keep; take() it when it is durable. kRegistrySplit: refused, see refuse(). kNotFound: without
  // `own` it proves nothing, and refutes nothing.
  Result<TreeState> check(const wire::LogReceipt& receipt, const std::optional<OwnCheckpoint>& own,
                          const ReceiptPeer& peer, TimeMs wall_ms) const;
  // `verified` is from check().
  void take(TreeState verified);
  // The receipt was refused; the first refusal is kept. Returns this one.
  TreeRefusal refuse(const Error& why, const wire::LogReceipt& receipt, TimeMs wall_ms);

 private:
  // The tree that a receipt speaks of.
  Result<record::Announcement> tree_of(const wire::LogReceipt& receipt,
                                       const ReceiptPeer& peer) const;
  Result<void> check_tree(const record::Checkpoint& now, const record::LogId& tree,
                          std::span<const Hash> consistency) const;

  TreeState state_;
  std::optional<record::Announcement> announcement_;  // of state_
  record::Checkpoint checkpoint_;                     // of state_
};

// What a book keeps once a person has accepted a tree: its next checkpoint is taken as the first.
// It is the one that is kept, or that was refused; else kNotFound with their names.
Result<TreeState> accept_tree(TreeState state, const record::LogId& tree);

// Where a book is kept, and the log's key. Blocks.
class ReceiptStore {
 public:
  virtual ~ReceiptStore() = default;
  // What the node has signed for its log at that size; nullopt: it is not kept any more.
  virtual Result<std::optional<OwnCheckpoint>> checkpoint_at(record::Position size) = 0;
  // Durable when it returns.
  virtual Result<void> keep(const TreeState& state) = 0;
  // Keeps a checkpoint that contradicts, with the one that it contradicts, for a person.
  virtual void keep_evidence(const TreeState& kept, const TreeRefusal& refused) = 0;
  virtual Result<Bytes> cosign(std::string_view note, int64_t time_s) = 0;
};

// Verifies a receipt, keeps what it proves, and only then cosigns: after a crash the node never
// knows less than it has said. Returns the answer for the registry, also when the receipt is
// refused or proves nothing. Errors of `store`: nothing is kept, and nothing must be answered.
Result<wire::LogWitness> witness(ReceiptBook& book, ReceiptStore& store,
                                 const wire::LogReceipt& receipt, const ReceiptPeer& peer,
                                 TimeMs wall_ms);

}  // namespace notp::spool
