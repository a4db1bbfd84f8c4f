#include "notp-server/audit_tree/tree_log.hpp"

#include <fmt/format.h>

#include <bit>
#include <utility>

#include "common/assert.hpp"

namespace notp::audit {
namespace {

std::unexpected<Error> damaged(std::string_view why) {
  return fail(ErrorCode::kCorrupt, fmt::format("the registry's tree: {}", why));
}

// Appends a hash to the tiles of an edge; what is full goes into `full`, and its root up.
void push(std::vector<Tile>& tiles, uint32_t level, const Hash& hash, std::vector<Tile>& full) {
  if (tiles.size() == level) tiles.push_back({.level = level, .index = 0, .hashes = {}});
  Tile& tile = tiles[level];
  tile.hashes.push_back(hash);
  if (tile.hashes.size() < limits::kTileWidth) return;
  const Hash root = TileLevels(tile.hashes).root(limits::kTileHeight, 0);
  const uint64_t next = tile.index + 1;
  full.push_back(std::exchange(tile, {.level = level, .index = next, .hashes = {}}));
  push(tiles, level + 1, root, full);
}

}  // namespace

TreeLog::TreeLog(TreeStore& store, std::string origin, PrivateKey key)
    : store_(store),
      origin_(std::move(origin)),
      key_(std::move(key)),
      public_key_(key_.public_key()) {}

// --- what is stored

Result<std::unique_ptr<TreeLog>> TreeLog::open(TreeStore& store, std::string origin,
                                               PrivateKey key) {
  auto tree = std::unique_ptr<TreeLog>(new TreeLog(store, std::move(origin), std::move(key)));
  NOTP_TRY(tree->load());
  return tree;
}

Result<void> TreeLog::load() {
  NOTP_ASSIGN(const auto newest, store_.newest());
  if (!newest) {
    const MutexLock lock(mutex_);
    newest_.note = record::sign_checkpoint({origin_, 0, edge_.frontier.root()}, key_);
    return {};
  }
  NOTP_ASSIGN(const auto cosigned, store_.newest_cosigned());
  NOTP_ASSIGN(const auto unwitnessed, store_.first_above(cosigned ? cosigned->size : 0));
  NOTP_ASSIGN(const std::vector<LogLeaf> leaves, store_.newest_leaves());
  const auto signed_by_key = record::verify_checkpoint(newest->note, public_key_);
  if (!signed_by_key) return damaged(signed_by_key.error().message);
  if (signed_by_key->origin != origin_ || signed_by_key->size != newest->size)
    return damaged(fmt::format("its newest checkpoint, of size {}, is one of {} at {}",
                               newest->size, signed_by_key->origin, signed_by_key->size));
  NOTP_TRY(load_edge(newest->size));
  if (edge_.frontier.root() != signed_by_key->root)
    return damaged(
        fmt::format("its hashes do not make up the root that was signed at size {}", newest->size));
  const MutexLock lock(mutex_);
  newest_ = *newest;
  witnessed_size_ = cosigned ? cosigned->size : 0;
  unwitnessed_since_ms_ = unwitnessed ? unwitnessed->at_ms : 0;
  for (const LogLeaf& leaf : leaves) leaves_[leaf.log] = leaf;
  return {};
}

Result<void> TreeLog::load_edge(uint64_t size) {
  std::vector<Hash> whole;
  for (uint64_t first = 0; first < size;) {
    const uint64_t leaves = std::bit_floor(size - first);
    NOTP_ASSIGN(const Hash root, subtree(first, leaves));
    whole.push_back(root);
    first += leaves;
  }
  NOTP_TRY(edge_.frontier.extend(size, whole));
  for (uint32_t level = 0; size >> (limits::kTileHeight * level) != 0; ++level) {
    const uint64_t hashes = size >> (limits::kTileHeight * level);
    Tile tile{.level = level, .index = hashes >> limits::kTileHeight, .hashes = {}};
    if (const uint64_t width = hashes % limits::kTileWidth; width > 0) {
      NOTP_ASSIGN(tile, store_.tile(level, tile.index));
      if (tile.hashes.size() != width)
        return damaged(fmt::format("tile {} of level {} has {} hashes, not {}", tile.index, level,
                                   tile.hashes.size(), width));
    }
    edge_.tiles.push_back(std::move(tile));
  }
  return {};
}

// --- growth

Result<SealedCheckpoint> TreeLog::append(const std::vector<record::TreeEntry>& entries,
                                         TimeMs now_ms) {
  NOTP_ASSERT(!entries.empty(), "a checkpoint seals something");
  Edge edge = edge_;
  TreeGrowth growth{
      .first = edge.frontier.size(), .entries = {}, .tiles = {}, .logs = {}, .checkpoint = {}};
  for (const record::TreeEntry& entry : entries) {
    const uint64_t index = edge.frontier.size();
    Bytes encoded = record::encode(entry);
    NOTP_ASSERT(encoded.size() <= limits::kTreeEntryBytesMax, "its maker keeps the limits");
    const Hash leaf = record::tree_leaf(encoded);
    edge.frontier.append(leaf);
    push(edge.tiles, 0, leaf, growth.tiles);
    growth.entries.push_back(std::move(encoded));
    if (entry.kind == record::TreeEntryKind::kCheckpoint && entry.log)
      growth.logs.push_back({*entry.log, entry.size, index, entry.time_ms, entry.count});
  }
  for (size_t level = 0; level < edge.tiles.size(); ++level) {
    const Tile& tile = edge.tiles[level];
    // What stands at the edge as before is stored already.
    const bool is_as_before = level < edge_.tiles.size() &&
                              edge_.tiles[level].index == tile.index &&
                              edge_.tiles[level].hashes.size() == tile.hashes.size();
    if (!tile.hashes.empty() && !is_as_before) growth.tiles.push_back(tile);
  }
  growth.checkpoint = {
      .size = edge.frontier.size(),
      .note = record::sign_checkpoint({origin_, edge.frontier.size(), edge.frontier.root()}, key_),
      .at_ms = now_ms,
      .cosignatures = 0};
  NOTP_TRY(store_.append(growth));
  edge_ = std::move(edge);
  const MutexLock lock(mutex_);
  newest_ = growth.checkpoint;
  if (unwitnessed_since_ms_ == 0) unwitnessed_since_ms_ = now_ms;
  for (const LogLeaf& leaf : growth.logs)
    if (LogLeaf& known = leaves_[leaf.log]; known.size < leaf.size) known = leaf;
  return growth.checkpoint;
}

Result<bool> TreeLog::cosigned(uint64_t size, const record::Cosignature& cosignature,
                               const PublicKey& key) {
  std::optional<SealedCheckpoint> at = newest();
  if (at->size != size) {
    NOTP_ASSIGN(at, store_.checkpoint(size));
  }
  if (!at || at->size == 0 || at->cosignatures >= limits::kCosignaturesMax) return false;
  if (!record::verify_cosignature(at->note, cosignature.time_s, cosignature.signature, key))
    return fail(ErrorCode::kSignature,
                fmt::format("the cosignature of {} on the registry's tree at size {} is not valid",
                            printable(cosignature.name), size));
  auto note = record::add_cosignature(at->note, cosignature, key);
  if (!note && note.error().code == ErrorCode::kLimit) return false;
  if (!note) return std::unexpected(std::move(note).error());
  at->note = *std::move(note);
  at->cosignatures = record::signer_names(at->note).size() - 1;
  NOTP_TRY(store_.put_note(*at));
  NOTP_ASSIGN(const auto unwitnessed, store_.first_above(size));
  const MutexLock lock(mutex_);
  if (newest_.size == size) newest_ = *at;
  if (size > witnessed_size_) {
    witnessed_size_ = size;
    unwitnessed_since_ms_ = unwitnessed ? unwitnessed->at_ms : 0;
  }
  return true;
}

// --- questions

SealedCheckpoint TreeLog::newest() const {
  const MutexLock lock(mutex_);
  return newest_;
}

Result<SealedCheckpoint> TreeLog::best_for(uint64_t index) const {
  NOTP_ASSIGN(auto cosigned, store_.newest_cosigned());
  if (cosigned && cosigned->size > index) return *std::move(cosigned);
  return newest();
}

TimeMs TreeLog::unwitnessed_since_ms() const {
  const MutexLock lock(mutex_);
  return unwitnessed_since_ms_;
}

std::optional<LogLeaf> TreeLog::newest_leaf_of(const record::LogId& log) const {
  const MutexLock lock(mutex_);
  const auto at = leaves_.find(log);
  return at == leaves_.end() ? std::nullopt : std::optional(at->second);
}

// Its tile is that of the highest level that has a hash for it or for its parts.
Result<Hash> TreeLog::subtree(uint64_t first, uint64_t leaves) const {
  const auto exponent = static_cast<uint32_t>(std::countr_zero(leaves));
  const uint32_t level = exponent / limits::kTileHeight, height = exponent % limits::kTileHeight;
  const uint64_t at = first >> (limits::kTileHeight * level);
  const uint64_t offset = at % limits::kTileWidth;
  NOTP_ASSIGN(const TileCache::TilePtr tile,
              cache_.get(store_, level, at / limits::kTileWidth, offset + (1ULL << height)));
  return tile->root(height, offset);
}

record::SubtreeSource TreeLog::source() const {
  return [this](uint64_t first, uint64_t leaves) { return subtree(first, leaves); };
}

Result<std::vector<Hash>> TreeLog::inclusion(uint64_t index, uint64_t size) const {
  return record::inclusion_proof(index, size, source());
}

Result<std::vector<Hash>> TreeLog::consistency(uint64_t old_size, uint64_t size) const {
  return record::consistency_proof(old_size, size, source());
}

}  // namespace notp::audit
