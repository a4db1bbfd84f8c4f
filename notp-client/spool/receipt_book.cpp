#include "notp-client/spool/receipt_book.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "protocol/record/tree.hpp"
#include "protocol/record/tree_entry.hpp"

namespace notp::spool {
namespace {

constexpr TimeMs kMsPerSecond = 1'000;

std::unexpected<Error> split(std::string message) {
  return fail(ErrorCode::kRegistrySplit, std::move(message));
}

// The leaf of the node's own checkpoint, as the registry must have made it.
Hash leaf_of(const wire::LogReceipt& receipt, const Hash& own_root) {
  record::TreeEntry entry;
  entry.kind = record::TreeEntryKind::kCheckpoint;
  entry.time_ms = receipt.time_ms;
  entry.log = receipt.log;
  entry.size = receipt.size;
  entry.root = own_root;
  entry.count = receipt.dropped;
  return record::tree_leaf(record::encode(entry));
}

std::unexpected<Error> damaged(std::string_view what) {
  return fail(ErrorCode::kCorrupt,
              fmt::format("what is kept of the registry's tree is damaged: {}", what));
}

}  // namespace

Result<ReceiptBook> ReceiptBook::open(TreeState state) {
  ReceiptBook out;
  if (!state.announcement.empty()) {
    const auto announcement = record::verify_announcement(state.announcement);
    if (!announcement) return damaged(announcement.error().message);
    const auto checkpoint = record::verify_checkpoint(state.checkpoint, announcement->log_key);
    if (!checkpoint) return damaged(checkpoint.error().message);
    out.announcement_ = *announcement;
    out.checkpoint_ = *checkpoint;
  }
  out.state_ = std::move(state);
  return out;
}

std::optional<record::LogId> ReceiptBook::offered_tree() const {
  if (!announcement_ || state_.accepted) return std::nullopt;
  return record::LogId::of(announcement_->log_key);
}

record::Position ReceiptBook::witnessed(const record::LogId& log) const {
  return announcement_ && state_.log == log ? state_.size : 0;
}

record::Position ReceiptBook::free_below(const record::LogId& log,
                                         record::Position acknowledged) const {
  return state_.refusal ? std::min(acknowledged, witnessed(log)) : acknowledged;
}

Result<record::Announcement> ReceiptBook::tree_of(const wire::LogReceipt& receipt,
                                                  const ReceiptPeer& peer) const {
  if (receipt.announcement.empty()) {
    if (!offered_tree())
      return split("the registry sent a receipt of a tree that it has not announced");
    if (announcement_->node != peer.registry)
      return split(
          fmt::format("the tree that this node keeps a checkpoint of is that of {}, and "
                      "the registry of this session is {}",
                      announcement_->node, peer.registry));
    return *announcement_;
  }
  auto announcement = record::verify_announcement(receipt.announcement);
  if (!announcement)
    return split(fmt::format("the announcement of the registry's tree is not valid: {}",
                             announcement.error().message));
  if (announcement->node != peer.registry || announcement->trust_domain != peer.trust_domain)
    return split(fmt::format("the registry of this session is {}, and its tree is announced by {}",
                             peer.registry, printable(announcement->node)));
  const record::LogId tree = record::LogId::of(announcement->log_key);
  if (const auto kept = offered_tree(); kept && tree != *kept)
    return split(
        fmt::format("the registry has begun another tree, {}: this node keeps a checkpoint of tree "
                    "{} with {} entries",
                    tree.hex(), kept->hex(), checkpoint_.size));
  if (state_.accepted && tree != *state_.accepted)
    return split(fmt::format("the registry shows tree {}, and tree {} was accepted", tree.hex(),
                             state_.accepted->hex()));
  return announcement;
}

Result<void> ReceiptBook::check_tree(const record::Checkpoint& now, const record::LogId& tree,
                                     std::span<const Hash> consistency) const {
  if (!offered_tree()) return {};
  if (now.size < checkpoint_.size)
    return split(fmt::format("the registry's tree {} shrank from {} entries to {}", tree.hex(),
                             checkpoint_.size, now.size));
  if (now.size == checkpoint_.size && now.root != checkpoint_.root)
    return split(
        fmt::format("the registry shows two trees {} of {} entries", tree.hex(), now.size));
  if (record::verify_consistency(checkpoint_.size, checkpoint_.root, now.size, now.root,
                                 consistency))
    return {};
  return split(
      fmt::format("the registry's tree {} of {} entries is not shown to go on from the "
                  "one of {} entries that this node keeps",
                  tree.hex(), now.size, checkpoint_.size));
}

Result<TreeState> ReceiptBook::check(const wire::LogReceipt& receipt,
                                     const std::optional<OwnCheckpoint>& own,
                                     const ReceiptPeer& peer, TimeMs wall_ms) const {
  NOTP_ASSIGN(const record::Announcement announcement, tree_of(receipt, peer));
  const record::LogId tree = record::LogId::of(announcement.log_key);
  const auto now = record::verify_checkpoint(receipt.checkpoint, announcement.log_key);
  if (!now)
    return split(fmt::format("the checkpoint of the registry's tree {} is not valid: {}",
                             tree.hex(), now.error().message));
  if (now->origin != record::log_origin(announcement.node, tree))
    return split(fmt::format("the key of the registry's tree {} has signed a checkpoint of {}",
                             tree.hex(), printable(now->origin)));
  NOTP_TRY(check_tree(*now, tree, receipt.consistency));
  if (!own)
    return fail(ErrorCode::kNotFound,
                fmt::format("the root of log {} at {} records is not kept any more",
                            receipt.log.hex(), receipt.size));
  if (!record::verify_inclusion(leaf_of(receipt, own->root), receipt.index, now->size,
                                receipt.inclusion, now->root))
    return split(
        fmt::format("the registry's tree {} of {} entries is not shown to have this node's "
                    "checkpoint of log {} at {} records: it was changed there, or this node's "
                    "spool was restored from an older copy",
                    tree.hex(), now->size, receipt.log.hex(), receipt.size));
  // Else the registry could delete the records later, and say that they had never come.
  if (receipt.dropped != 0 && own->has_body)
    return split(
        fmt::format("the registry's tree says that this node had dropped the last {} records below "
                    "{} of log {} before it sent them, and the node has them",
                    receipt.dropped, receipt.size, receipt.log.hex()));
  TreeState out = state_;
  out.accepted.reset();
  out.announcement = receipt.announcement.empty() ? state_.announcement : receipt.announcement;
  out.checkpoint = receipt.checkpoint;
  // A new tree, or a new log, begins at its first receipt.
  if (state_.accepted || state_.log != receipt.log || receipt.size >= state_.size) {
    out.log = receipt.log;
    out.size = receipt.size;
    out.index = receipt.index;
  }
  out.time_ms = wall_ms;
  return out;
}

void ReceiptBook::take(TreeState verified) {
  // check() has verified both.
  announcement_ = *record::verify_announcement(verified.announcement);
  checkpoint_ = *record::parse_checkpoint(verified.checkpoint);
  state_ = std::move(verified);
}

TreeRefusal ReceiptBook::refuse(const Error& why, const wire::LogReceipt& receipt, TimeMs wall_ms) {
  TreeRefusal refusal{wall_ms, why.message, receipt.checkpoint, {}, receipt.announcement};
  if (const auto other = record::verify_announcement(receipt.announcement))
    refusal.tree = record::LogId::of(other->log_key);
  else if (announcement_)
    refusal.tree = record::LogId::of(announcement_->log_key);
  if (!state_.refusal) state_.refusal = refusal;
  return refusal;
}

Result<TreeState> accept_tree(TreeState state, const record::LogId& tree) {
  NOTP_ASSIGN(const ReceiptBook book, ReceiptBook::open(state));
  const auto kept = book.offered_tree();
  const bool was_refused = state.refusal && state.refusal->tree == tree;
  if (!was_refused && kept != tree && state.accepted != tree)
    return fail(ErrorCode::kNotFound,
                fmt::format("this node has met no tree {}: it keeps {}, and has refused {}",
                            tree.hex(), kept ? kept->hex() : "none",
                            state.refusal ? state.refusal->tree.hex() : "none"));
  state.refusal.reset();
  state.accepted = tree;
  return state;
}

Result<wire::LogWitness> witness(ReceiptBook& book, ReceiptStore& store,
                                 const wire::LogReceipt& receipt, const ReceiptPeer& peer,
                                 TimeMs wall_ms) {
  NOTP_ASSIGN(const std::optional<OwnCheckpoint> own, store.checkpoint_at(receipt.size));
  auto verified = book.check(receipt, own, peer, wall_ms);
  wire::LogWitness out;
  out.log = receipt.log;
  if (!verified) {
    out.code = static_cast<uint32_t>(verified.error().code);
    out.message = verified.error().message;
    if (verified.error().code != ErrorCode::kRegistrySplit) return out;
    out.kept = book.state().checkpoint;
    const TreeRefusal refused = book.refuse(verified.error(), receipt, wall_ms);
    store.keep_evidence(book.state(), refused);
    NOTP_TRY(store.keep(book.state()));
    return out;
  }
  NOTP_TRY(store.keep(*verified));
  book.take(*std::move(verified));
  out.tree_size = record::parse_checkpoint(receipt.checkpoint)->size;
  out.time_s = wall_ms / kMsPerSecond;
  NOTP_ASSIGN(out.signature, store.cosign(receipt.checkpoint, out.time_s));
  return out;
}

}  // namespace notp::spool
