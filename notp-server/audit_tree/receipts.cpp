#include "notp-server/audit_tree/receipts.hpp"

#include <fmt/format.h>

#include <utility>

#include "common/limits.hpp"
#include "common/log.hpp"

namespace notp::audit {

void Receipts::granted(const std::string& node, const wire::LogOffer& offer, Send send,
                       TimeMs now_ms) {
  Session session{.node = node, .send = std::move(send), .outstanding = {}};
  session.knows_tree = offer.tree == tree_.id();
  session.kept = session.knows_tree ? offer.tree_size : 0;
  const uint64_t size = tree_.size();
  // Leaves that its checkpoint covers were receipted with it, or before.
  session.receipted = session.kept <= size ? session.kept : 0;
  if (session.kept > size)
    blame(node, offer.log,
          Error{ErrorCode::kRegistrySplit,
                fmt::format("node {} keeps a checkpoint of this registry's tree with {} entries, "
                            "and the tree has {}: this registry was put back from a backup or a "
                            "copy; its nodes refuse the tree until a person accepts a new one",
                            node, session.kept, size),
                {}},
          session.kept, {}, now_ms);
  const auto [at, is_new] = sessions_.insert_or_assign(offer.log, std::move(session));
  if (!deliver(at->first, at->second)) sessions_.erase(at);
}

void Receipts::sealed() {
  const uint64_t before = counters_.receipts;
  for (auto at = sessions_.begin(); at != sessions_.end();)
    at = deliver(at->first, at->second) ? std::next(at) : sessions_.erase(at);
  if (counters_.receipts == before) deliver_again();
}

void Receipts::deliver_again() {
  const uint64_t before = counters_.receipts;
  for (size_t left = sessions_.size();
       left > 0 && !sessions_.empty() && counters_.receipts - before < limits::kCosignaturesMax;
       --left) {
    auto at = sessions_.upper_bound(asked_again_);
    if (at == sessions_.end()) at = sessions_.begin();
    asked_again_ = at->first;
    if (!deliver(at->first, at->second, /*is_again=*/true)) sessions_.erase(at);
  }
}

bool Receipts::deliver(const record::LogId& log, Session& session, bool is_again) {
  if (session.outstanding) return true;
  const auto leaf = tree_.newest_leaf_of(log);
  if (!leaf || (leaf->index < session.receipted && !is_again)) return true;
  const SealedCheckpoint newest = tree_.newest();
  auto receipt = make(*leaf, newest, session);
  if (!receipt) {
    if (!std::exchange(is_damaged_, true))
      log::write(log::Level::kError, "registry_tree_damaged", receipt.error());
    return true;
  }
  if (!session.send(*receipt)) return false;
  ++counters_.receipts;
  session.receipted = leaf->index + 1;
  session.outstanding = newest.size;
  return true;
}

// A proof that does not hold is not sent: to a node it would look like another tree.
Result<wire::LogReceipt> Receipts::make(const LogLeaf& leaf, const SealedCheckpoint& newest,
                                        const Session& session) {
  if (std::exchange(proven_size_, newest.size) != newest.size) {
    NOTP_ASSIGN(const auto checkpoint, record::parse_checkpoint(newest.note));
    proven_root_ = checkpoint.root;
    consistency_.clear();
  }
  wire::LogReceipt out;
  out.log = leaf.log;
  out.size = leaf.size;
  out.index = leaf.index;
  out.time_ms = leaf.time_ms;
  out.dropped = leaf.dropped;
  out.checkpoint = newest.note;
  if (!session.knows_tree) out.announcement = announcement_;
  NOTP_ASSIGN(const Hash hash, tree_.leaf_hash(leaf.index));
  NOTP_ASSIGN(out.inclusion, tree_.inclusion(leaf.index, newest.size));
  if (!record::verify_inclusion(hash, leaf.index, newest.size, out.inclusion, proven_root_))
    return fail(ErrorCode::kCorrupt,
                fmt::format("the registry's tree: leaf {} is not in what was signed at size {}; "
                            "restore a backup",
                            leaf.index, newest.size));
  if (session.kept == 0 || session.kept > newest.size) return out;
  const auto [at, is_new] = consistency_.try_emplace(session.kept);
  if (is_new) {
    NOTP_ASSIGN(at->second, tree_.consistency(session.kept, newest.size));
  }
  out.consistency = at->second;
  return out;
}

void Receipts::witnessed(const std::string& node, const wire::LogWitness& witness,
                         const std::optional<PublicKey>& key, TimeMs now_ms) {
  const auto at = sessions_.find(witness.log);
  if (at == sessions_.end() || at->second.node != node || !at->second.outstanding) return;
  Session& session = at->second;
  const uint64_t size = *std::exchange(session.outstanding, std::nullopt);
  if (witness.code == 0 && witness.tree_size == size) {
    session.knows_tree = true;
    session.kept = size;
    if (key) {
      const auto added = tree_.cosigned(size,
                                        {.name = record::log_origin(node, witness.log),
                                         .time_s = witness.time_s,
                                         .signature = witness.signature},
                                        *key);
      if (added)
        ++counters_.cosignatures;
      else
        log::write(log::Level::kError, "cosignature_not_kept", added.error(), {{"identity", node}});
    }
  } else if (error_code_from_wire(witness.code) == ErrorCode::kRegistrySplit) {
    ++counters_.refusals;
    blame(node, witness.log, Error{ErrorCode::kRegistrySplit, printable(witness.message), {}}, size,
          witness.kept, now_ms);
  }
  if (!deliver(at->first, session)) sessions_.erase(at);
}

void Receipts::blame(const std::string& node, const record::LogId& log, const Error& error,
                     uint64_t size, std::string_view note, TimeMs now_ms) {
  if (blamed_.contains(log)) return;
  log::write(log::Level::kError, "registry_tree_refused", error,
             {{"identity", node}, {"log", log.hex()}, {"size", size}});
  record::TreeEntry entry;
  entry.kind = record::TreeEntryKind::kFault;
  entry.time_ms = now_ms;
  entry.log = log;
  entry.first = size;
  entry.code = static_cast<uint32_t>(error.code);
  if (!note.empty()) entry.digest = sha256(note);
  // Without room the node's next refusal is kept.
  if (log_entry_(entry)) blamed_.insert(log);
}

}  // namespace notp::audit
