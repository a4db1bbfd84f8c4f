#include "tests/sim/sim_tree.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "tests/sim/node_keys.hpp"
#include "tests/sim/sim_trust.hpp"

namespace notp::sim {
namespace {

uint64_t size_of(const wire::LogReceipt& receipt) {
  return record::parse_checkpoint(receipt.checkpoint)->size;
}

record::TreeEntry read_entry(std::string by, TimeMs time_ms) {
  record::TreeEntry entry;
  entry.kind = record::TreeEntryKind::kRead;
  entry.time_ms = time_ms;
  entry.by = std::move(by);
  return entry;
}

}  // namespace

std::string_view tree_attack_name(TreeAttack attack) {
  constexpr std::string_view kNames[kTreeAttacks] = {
      "none",      "control",  "roll_back", "shrink", "other_root",
      "other_key", "replay",   "leave_out", "fork",   "drop_segment",
      "drop_end",  "drop_log", "rewrite",   "swap",   "delete_silently"};
  return kNames[static_cast<size_t>(attack)];
}

SimTree::SimTree(WorldPort& world) : world_(world) { replace_tree(std::nullopt); }

// --- the registry's process

void SimTree::replace_tree(std::optional<record::LogId> previous) {
  const record::LogId tree = record::LogId::of(tree_key(key_number_).public_key());
  announcement_ = announce_tree({.trust_domain = std::string(kTrustDomain),
                                 .node = registry_id(),
                                 .log_key = tree_key(key_number_).public_key(),
                                 .created_ms = 1,
                                 .previous = previous,
                                 .reason = previous ? "the store was put back" : ""});
  world_.note("tree", 0, tree.hex());
  branches_.clear();
  branches_.emplace_back();
  branches_.front().disk = std::make_unique<MemoryTreeStore>();
  open(branches_.front());
  history_.clear();
  old_receipts_.clear();
}

void SimTree::open(Branch& branch) {
  branch.receipts.reset();
  const record::LogId tree = record::LogId::of(tree_key(key_number_).public_key());
  auto opened = audit::TreeLog::open(*branch.disk, record::log_origin(registry_id(), tree),
                                     tree_key(key_number_));
  NOTP_ASSERT(opened, "the memory store has the tree that was put there");
  branch.tree = *std::move(opened);
  branch.waiting.clear();
  const size_t number = branches_.size() > 1 && &branch == &branches_.back() ? 1 : 0;
  branch.receipts = std::make_unique<audit::Receipts>(
      *branch.tree, announcement_,
      [this, number](const record::TreeEntry& entry) {
        branches_[number].waiting.push_back(entry);
        seal_soon();
        return true;
      },
      counters_);
}

void SimTree::start(const MemoryAuditStore& store) {
  sessions_.clear();
  for (Branch& branch : branches_) open(branch);
  make_up(store);
  // Until a seal, a crash takes the difference back.
  if (branches_.size() == 1 ||
      branches_[0].disk->image().entries != branches_[1].disk->image().entries)
    return;
  for (size_t number : {0, 1})
    branches_[number].waiting.push_back(
        read_entry(fmt::format("branch {}", number), world_.time_ms()));
  seal_soon();
}

void SimTree::begin_another(const MemoryAuditStore& store) {
  sessions_.clear();
  const record::LogId before = branches_.front().tree->id();
  ++key_number_;
  replace_tree(before);
  make_up(store);
}

void SimTree::make_up(const MemoryAuditStore& store) {
  for (const auto& [id, log] : store.image().logs)
    for (const auto& segment : log.segments) {
      const auto leaf = leaf_of(*segment);
      for (Branch& branch : branches_) {
        const auto newest = branch.tree->newest_leaf_of(id);
        if (leaf && (!newest || newest->size < leaf->size)) branch.waiting.push_back(*leaf);
      }
    }
  seal_soon();
}

// --- the intake

std::optional<record::TreeEntry> SimTree::leaf_of(const audit::StoredSegment& segment) {
  const record::SegmentHead& head = segment.segment.head;
  const bool is_victim = segment.node == node_id(victim_);
  if (is_victim && attack_ == TreeAttack::kLeaveOut) return std::nullopt;
  record::TreeEntry entry;
  entry.kind = record::TreeEntryKind::kCheckpoint;
  entry.time_ms = world_.time_ms();
  entry.log = head.log;
  entry.size = head.end();
  entry.root = segment.tree.root();
  // Bodies that the node has dropped.
  if (segment.segment.body.empty()) entry.count = head.count;
  if (is_victim && attack_ == TreeAttack::kOtherRoot) {
    entry.root = sha256(entry.root.view());
    false_leaves_.insert({head.log, head.end()});
  }
  return entry;
}

void SimTree::stored(const audit::StoredSegment& segment) {
  if (auto entry = leaf_of(segment)) append(*std::move(entry));
}

void SimTree::append(record::TreeEntry entry) {
  for (Branch& branch : branches_) branch.waiting.push_back(entry);
  seal_soon();
}

void SimTree::seal_soon() {
  if (std::exchange(is_seal_armed_, true)) return;
  world_.at(limits::kTreeSealMs, [this] { seal(); });
}

void SimTree::seal() {
  is_seal_armed_ = false;
  for (Branch& branch : branches_) {
    if (branch.waiting.empty()) continue;
    const auto entries = std::exchange(branch.waiting, {});
    const auto sealed = branch.tree->append(entries, world_.time_ms());
    NOTP_ASSERT(sealed, "the memory store writes");
    world_.note("tree sealed", 0, fmt::format("{}", sealed->size));
    branch.receipts->sealed();
  }
  if (attack_ == TreeAttack::kNone)
    history_[branches_.front().tree->size()] = branches_.front().disk->image();
}

SimTree::Branch& SimTree::branch_of(size_t node) {
  return branches_[branches_.size() > 1 ? node % 2 : 0];
}

void SimTree::granted(size_t node, uint64_t link, const wire::LogOffer& offer) {
  sessions_[link] = {.node = node};
  branch_of(node).receipts->granted(
      node_id(node), offer,
      [this, node, link](const wire::LogReceipt& receipt) { return send(node, link, receipt); },
      world_.time_ms());
}

bool SimTree::is_lie(size_t node, const wire::LogReceipt& receipt) {
  if (false_leaves_.contains({receipt.log, receipt.size})) return true;
  const auto kept = kept_(node);
  if (!kept) return false;
  const Branch& branch = branch_of(node);
  if (kept->origin != branch.tree->origin() || kept->size > size_of(receipt)) return true;
  record::Frontier before;
  for (uint64_t index = 0; index < kept->size; ++index)
    before.append(record::tree_leaf(branch.disk->image().entries[index]));
  return before.root() != kept->root;
}

bool SimTree::send(size_t node, uint64_t link, wire::LogReceipt receipt) {
  Session& session = sessions_[link];
  if (attack_ == TreeAttack::kNone) {
    old_receipts_.try_emplace(receipt.log, receipt);
  } else if (const auto old = old_receipts_.find(receipt.log);
             attack_ == TreeAttack::kReplay && old != old_receipts_.end()) {
    receipt = old->second;
  }
  session.is_lied_to = is_lie(node, receipt);
  const bool is_sent = world_.send_receipt(node, link, receipt);
  if (is_sent && session.is_lied_to) ++lies_;
  return is_sent;
}

void SimTree::witnessed(size_t node, uint64_t link, const wire::LogWitness& witness,
                        const std::optional<PublicKey>& key, bool may_refuse) {
  const auto at = sessions_.find(link);
  if (at == sessions_.end()) return;
  Session& session = at->second;
  if (witness.code == 0) {
    if (session.is_lied_to)
      world_.violation(node, fmt::format("it has cosigned a lie ({}) about the registry's tree at "
                                         "{} entries",
                                         tree_attack_name(attack_), witness.tree_size));
    if (&branch_of(node) != &branches_.front() && witness.tree_size > common_) misled_.insert(node);
  } else if (witness.code == static_cast<uint32_t>(ErrorCode::kRegistrySplit) &&
             !session.is_lied_to && !may_refuse) {
    world_.violation(node, "it refuses a tree that is true: " + witness.message);
  }
  branch_of(node).receipts->witnessed(node_id(node), witness, key, world_.time_ms());
}

// --- lies

bool SimTree::attack(TreeAttack attack, size_t victim, const MemoryAuditStore& store) {
  victim_ = victim;
  const auto because = [&](bool can) {
    if (can) attack_ = attack;
    return can;
  };
  switch (attack) {
    case TreeAttack::kShrink: {
      if (history_.size() < 2) return false;
      attack_ = attack;
      const auto back = static_cast<ptrdiff_t>(world_.random().below(history_.size() - 1));
      go_back(std::next(history_.begin(), back)->second, store);
      return true;
    }
    case TreeAttack::kOtherKey: {
      attack_ = attack;
      ++key_number_;
      replace_tree(std::nullopt);
      start(store);
      return true;
    }
    case TreeAttack::kReplay:
      return because(!old_receipts_.empty());
    case TreeAttack::kFork: {
      attack_ = attack;
      auto& other = branches_.emplace_back();
      other.disk = std::make_unique<MemoryTreeStore>();
      other.disk->restore(branches_.front().disk->image());
      common_ = branches_.front().tree->size();
      start(store);
      return true;
    }
    default:
      return because(true);
  }
}

void SimTree::go_back(MemoryTreeStore::Image image, const MemoryAuditStore& store) {
  if (attack_ == TreeAttack::kNone) attack_ = TreeAttack::kRollBack;
  branches_.front().disk->restore(std::move(image));
  start(store);
  // What comes now is other than what came then.
  branches_.front().waiting.push_back(read_entry("again", world_.time_ms()));
  seal_soon();
}

void SimTree::state_deletion(const MemoryAuditStore::Image& store) {
  for (const auto& [id, log] : store.logs)
    for (const auto& segment : log.segments) {
      if (!segment->segment.body.empty()) continue;
      record::TreeEntry entry;
      entry.kind = record::TreeEntryKind::kDeletion;
      entry.time_ms = world_.time_ms();
      entry.log = id;
      entry.first = segment->segment.head.first;
      entry.count = segment->segment.head.count;
      entry.hashes = segment->segment.subtrees;
      entry.rule = "retain_days";
      append(entry);
    }
  seal();
}

wire::TreePart SimTree::part() const {
  const Branch& shown = branches_.front();
  const audit::SealedCheckpoint newest = shown.tree->newest();
  return {.announcement = announcement_,
          .checkpoint = newest.note,
          .size = newest.size,
          .first = 0,
          .entries = shown.disk->image().entries};
}

}  // namespace notp::sim
