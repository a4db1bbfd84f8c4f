#include "tools/notp/audit/tree_verifier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace notp::cli {

const DeletionFound* LogInTree::deletion_of(record::Position position,
                                            const std::optional<Hash>& leaf) const {
  const auto after = deletions.upper_bound(position);
  if (after == deletions.begin()) return nullptr;
  for (const DeletionFound& found : std::prev(after)->second) {
    const record::TreeEntry& entry = found.entry;
    if (position - entry.first >= entry.count) continue;
    // A statement about a whole range has the hashes of its subtrees; one about single records has
    // a leaf for each.
    if (entry.positions.empty()) return &found;
    const auto at = std::ranges::lower_bound(entry.positions, position);
    if (at == entry.positions.end() || *at != position) continue;
    const auto index = static_cast<size_t>(at - entry.positions.begin());
    if (!leaf || (index < entry.hashes.size() && entry.hashes[index] == *leaf)) return &found;
  }
  return nullptr;
}

TreeVerifier::TreeVerifier(std::string trust_domain, const NodeAuthorities* authorities,
                           std::optional<record::Checkpoint> kept)
    : trust_domain_(std::move(trust_domain)), authorities_(authorities), kept_(std::move(kept)) {}

std::optional<uint64_t> TreeVerifier::wanted() const {
  if (report_.problem) return std::nullopt;
  if (is_started_ && tree_.size() == report_.size) return std::nullopt;
  return tree_.size();
}

Result<void> TreeVerifier::check_start(const wire::TreePart& part) {
  NOTP_ASSIGN(const record::Announcement announced, record::verify_announcement(part.announcement));
  if (announced.trust_domain != trust_domain_)
    return fail(ErrorCode::kIdentity,
                fmt::format("the tree is of the trust domain {}, not of {}",
                            printable(announced.trust_domain), trust_domain_));
  if (authorities_ != nullptr) NOTP_TRY(authorities_->check(part.announcement));
  NOTP_ASSIGN(const record::Checkpoint checkpoint,
              record::verify_checkpoint(part.checkpoint, announced.log_key));
  const std::string origin =
      record::log_origin(announced.node, record::LogId::of(announced.log_key));
  if (checkpoint.origin != origin || checkpoint.size != part.size)
    return fail(ErrorCode::kRegistrySplit,
                fmt::format("the registry gave a checkpoint of {} at {} as that of its tree {} at "
                            "{}",
                            printable(checkpoint.origin), checkpoint.size, origin, part.size));
  if (kept_ && kept_->origin != origin)
    return fail(ErrorCode::kRegistrySplit,
                fmt::format("the registry has another tree, {}, than the one of the checkpoint "
                            "that was kept, {}",
                            origin, printable(kept_->origin)));
  if (kept_ && kept_->size > checkpoint.size)
    return fail(ErrorCode::kRegistrySplit,
                fmt::format("the registry's tree has shrunk: it has {} leaves, and had {}",
                            checkpoint.size, kept_->size));
  report_.origin = origin;
  report_.size = checkpoint.size;
  report_.root = checkpoint.root;
  report_.signers = record::signer_names(part.checkpoint);
  std::erase(report_.signers, origin);
  note_ = part.checkpoint;
  is_started_ = true;
  return {};
}

Result<void> TreeVerifier::take_entry(uint64_t index, ByteView bytes) {
  auto entry = record::decode_tree_entry(bytes);
  if (!entry) return std::unexpected(std::move(entry).error().in(fmt::format("leaf {}", index)));
  tree_.append(record::tree_leaf(bytes));
  if (!entry->log) return {};
  LogInTree& log = logs_[*entry->log];
  switch (entry->kind) {
    case record::TreeEntryKind::kCheckpoint: {
      const auto [at, fresh] =
          log.checkpoints.try_emplace(entry->size, CheckpointInTree{entry->root, entry->count});
      if (!fresh && at->second.root != entry->root)
        return fail(ErrorCode::kRegistrySplit,
                    fmt::format("leaf {} says that log {} had the root {} at {}, and a leaf before "
                                "it said {}",
                                index, entry->log->hex(), entry->root.brief(), entry->size,
                                at->second.root.brief()));
      break;
    }
    case record::TreeEntryKind::kDeletion:
    case record::TreeEntryKind::kErasure:
      log.deletions[entry->first].push_back({index, *std::move(entry)});
      break;
    default:
      break;
  }
  return {};
}

Result<void> TreeVerifier::check_end() {
  if (tree_.root() == report_.root) return {};
  return fail(ErrorCode::kRegistrySplit,
              fmt::format("the registry's {} leaves have the root {}, and its checkpoint says {}",
                          report_.size, tree_.root().hex(), report_.root.hex()));
}

void TreeVerifier::take(const wire::TreePart& part) {
  const auto step = [&]() -> Result<void> {
    if (!is_started_) NOTP_TRY(check_start(part));
    const uint64_t left = report_.size - tree_.size();
    if (left == 0) return check_end();
    if (part.first != tree_.size() || part.entries.empty())
      return fail(ErrorCode::kRegistrySplit,
                  fmt::format("leaf {} of the registry's tree is missing", tree_.size()));
    for (size_t i = 0; i < std::min<uint64_t>(part.entries.size(), left); ++i) {
      NOTP_TRY(take_entry(tree_.size(), part.entries[i]));
      if (kept_ && kept_->size == tree_.size() && tree_.root() != kept_->root)
        return fail(ErrorCode::kRegistrySplit,
                    fmt::format("the registry's tree was rewritten: at {} leaves its root was {}, "
                                "and now it is {}",
                                kept_->size, kept_->root.hex(), tree_.root().hex()));
      report_.verified = tree_.size();
    }
    return tree_.size() == report_.size ? check_end() : Result<void>();
  };
  if (auto done = step(); !done) report_.problem = std::move(done).error();
}

}  // namespace notp::cli
