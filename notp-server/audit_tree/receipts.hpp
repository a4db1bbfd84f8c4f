// Receipts: what nodes learn of the registry's tree, and what they say to it. It knows neither
// threads nor sockets.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "notp-server/audit_tree/tree_log.hpp"
#include "protocol/wire/messages/decision_log.hpp"

namespace notp::audit {

// Since the start of the process.
struct ReceiptCounters {
  std::atomic<uint64_t> receipts = 0;  // sent
  std::atomic<uint64_t> cosignatures = 0, refusals = 0;
};

// One thread, the one that appends to the tree. Of each log the newest session counts.
//
// A node gets one receipt at a time: the next one follows its answer, because consistency is proven
// from the checkpoint that the node keeps.
class Receipts {
 public:
  // Hands a receipt to the session. False: it is over.
  using Send = std::function<bool(const wire::LogReceipt&)>;
  // Queues an entry of the tree. False: there is no room.
  using LogEntry = std::function<bool(const record::TreeEntry&)>;

  // `tree` and `counters` outlive it; `announcement` is the tree's.
  Receipts(TreeLog& tree, Bytes announcement, LogEntry log_entry, ReceiptCounters& counters)
      : tree_(tree),
        announcement_(std::move(announcement)),
        log_entry_(std::move(log_entry)),
        counters_(counters) {}

  // A session of the node was granted its log. A leaf that the node's checkpoint of the tree does
  // not cover is receipted at once.
  void granted(const std::string& node, const wire::LogOffer& offer, Send send, TimeMs now_ms);
  // After an append: each session whose log has a new leaf gets a receipt for the newest one. When
  // there is none, as after a deletion at night, kCosignaturesMax others get theirs again, in turn:
  // each checkpoint has witnesses.
  void sealed();
  // The node's answer to a receipt. `key` is that of its log; nullopt: unknown, and the answer
  // counts for nothing.
  void witnessed(const std::string& node, const wire::LogWitness& witness,
                 const std::optional<PublicKey>& key, TimeMs now_ms);

  size_t sessions() const { return sessions_.size(); }

 private:
  struct Session {
    std::string node;
    Send send;
    bool knows_tree = false;
    uint64_t kept = 0;                    // size of the node's checkpoint of the tree
    uint64_t receipted = 0;               // leaves below it need no receipt
    std::optional<uint64_t> outstanding;  // size of the checkpoint that has no answer yet
  };
  using Sessions = std::map<record::LogId, Session>;

  // False: the session is over. `is_again`: also for a leaf that was receipted, under a checkpoint
  // that the node does not keep.
  bool deliver(const record::LogId& log, Session& session, bool is_again = false);
  void deliver_again();
  Result<wire::LogReceipt> make(const LogLeaf& leaf, const SealedCheckpoint& newest,
                                const Session& session);
  // Says and keeps once that a node does not go along with the tree.
  void blame(const std::string& node, const record::LogId& log, const Error& error, uint64_t size,
             std::string_view note, TimeMs now_ms);

  TreeLog& tree_;
  const Bytes announcement_;
  const LogEntry log_entry_;
  ReceiptCounters& counters_;
  Sessions sessions_;
  record::LogId asked_again_;  // the last one
  std::set<record::LogId> blamed_;
  bool is_damaged_ = false;  // logged once
  // Proofs to the newest checkpoint: many nodes keep the same one.
  uint64_t proven_size_ = 0;
  Hash proven_root_;
  std::map<uint64_t, std::vector<Hash>> consistency_;  // by the size that a node keeps
};

}  // namespace notp::audit
