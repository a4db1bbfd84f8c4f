#include "notp-server/registry/snapshot_memory.hpp"

#include <algorithm>
#include <utility>

#include "common/limits.hpp"

namespace notp::registry {
namespace {

// For a tree: the node of a file, its path beyond that, and a share of the folders. For a snapshot:
// the node in its map of contents.
constexpr uint64_t kTreeFileBytes = 192;
constexpr uint64_t kSnapshotFileBytes = 96;
constexpr uint64_t kContentBytes = 80;  // per content, besides its bytes
// An envelope has its bytes, the payload in them once more, and the statement in it.
constexpr uint64_t kEnvelopeCopies = 3;

uint64_t tree_bytes(const model::Tree& tree) {
  uint64_t bytes = sizeof(model::Tree);
  for (const auto& [path, file] : tree.files()) bytes += kTreeFileBytes + path.size();
  return bytes;
}

uint64_t own_bytes(const Snapshot& snapshot) {
  return sizeof(Snapshot) + kEnvelopeCopies * snapshot.envelope.bytes().size() +
         snapshot.message.size() + snapshot.content.blobs.size() * kSnapshotFileBytes;
}

// The snapshot's size with its tree when nothing is shared: the space that it may need.
uint64_t whole_bytes(const Snapshot& snapshot) {
  uint64_t bytes = own_bytes(snapshot) + tree_bytes(*snapshot.content.tree);
  for (const auto& [hash, content] : snapshot.content.blobs)
    bytes += kContentBytes + content->size();
  return bytes;
}

}  // namespace

SnapshotPtr SnapshotMemory::find(const model::LedgerId& ledger, uint64_t version,
                                 const Hash& hash) {
  const MutexLock lock(mutex_);
  const auto shelf = shelves_.find(ledger);
  if (shelf == shelves_.end()) return nullptr;
  const auto found = shelf->second.held.find(version);
  if (found == shelf->second.held.end() || found->second.snapshot->ref.release_hash != hash)
    return nullptr;
  use(found->second);
  return found->second.snapshot;
}

void SnapshotMemory::keep(const SnapshotPtr& snapshot, uint64_t head) {
  const bool fits = whole_bytes(*snapshot) <= budget_bytes_;
  std::vector<std::pair<SnapshotPtr, model::TreePtr>> left;
  const MutexLock lock(mutex_);
  const uint64_t version = snapshot->release.version;
  Shelf& shelf = shelf_of(snapshot->ref.ledger);
  grow(shelf, std::max(head, version));
  if (version + limits::kSnapshotsPerLedger > shelf.head)
    hold_tree(shelf, version, snapshot->content.tree);
  if (fits) hold(shelf, snapshot);
  make_room();
  left.swap(left_);
}

std::vector<std::pair<uint64_t, model::TreePtr>> SnapshotMemory::recent_trees(
    const model::LedgerId& ledger, uint64_t head) {
  std::vector<std::pair<uint64_t, model::TreePtr>> out;
  const MutexLock lock(mutex_);
  const auto found = shelves_.find(ledger);
  if (found == shelves_.end()) return out;
  Shelf& shelf = found->second;
  ledgers_.splice(ledgers_.begin(), ledgers_, shelf.place);
  for (auto tree = shelf.trees.rbegin(); tree != shelf.trees.rend(); ++tree)
    if (tree->first <= head && tree->first + limits::kSnapshotsPerLedger > head)
      out.push_back(*tree);
  return out;
}

void SnapshotMemory::drop_unused() {
  std::vector<std::pair<SnapshotPtr, model::TreePtr>> left;
  const MutexLock lock(mutex_);
  for (Snapshots* list : {&others_, &preferred_}) drop_unused(*list);
  left.swap(left_);
}

void SnapshotMemory::count_load() {
  const MutexLock lock(mutex_);
  ++counters_.loads;
}

SnapshotMemory::Counters SnapshotMemory::counters() const {
  const MutexLock lock(mutex_);
  return counters_;
}

// --- with the mutex held

SnapshotMemory::Shelf& SnapshotMemory::shelf_of(const model::LedgerId& ledger) {
  const auto [found, is_new] = shelves_.try_emplace(ledger);
  if (is_new)
    found->second.place = ledgers_.insert(ledgers_.begin(), ledger);
  else
    ledgers_.splice(ledgers_.begin(), ledgers_, found->second.place);
  return found->second;
}

void SnapshotMemory::grow(Shelf& shelf, uint64_t head) {
  if (head <= shelf.head) return;
  shelf.head = head;
  for (auto& [version, held] : shelf.held) {
    if (!held.preferred || version + 1 >= head) continue;
    held.preferred = false;
    others_bytes_ += held.own_bytes;
    others_.splice(others_.begin(), preferred_, held.place);
  }
  while (!shelf.trees.empty() && shelf.trees.begin()->first + limits::kSnapshotsPerLedger <= head)
    drop_tree(shelf, shelf.trees.begin());
}

void SnapshotMemory::hold(Shelf& shelf, const SnapshotPtr& snapshot) {
  const uint64_t version = snapshot->release.version;
  if (const auto old = shelf.held.find(version); old != shelf.held.end()) {
    if (old->second.snapshot == snapshot) return use(old->second);
    drop(shelf, old);
  }
  const bool preferred = version + 1 >= shelf.head;
  Snapshots& list = list_of(preferred);
  const auto place = list.insert(list.begin(), {snapshot->ref.ledger, version});
  const uint64_t own = count(*snapshot);
  if (!preferred) others_bytes_ += own;
  shelf.held.emplace(version, Held{snapshot, preferred, place, own});
}

void SnapshotMemory::hold_tree(Shelf& shelf, uint64_t version, const model::TreePtr& tree) {
  if (const auto old = shelf.trees.find(version); old != shelf.trees.end()) {
    if (old->second == tree) return;
    drop_tree(shelf, old);
  }
  shelf.trees.emplace(version, tree);
  counters_.bytes += tree_bytes(*tree);
  ++counters_.trees;
}

void SnapshotMemory::use(Held& held) {
  Snapshots& list = list_of(held.preferred);
  list.splice(list.begin(), list, held.place);
  held.is_used = true;
}

void SnapshotMemory::drop_unused(Snapshots& snapshots) {
  for (auto next = snapshots.begin(); next != snapshots.end();) {
    const Place place = *next++;
    Shelf& shelf = shelves_.at(place.ledger);
    const auto held = shelf.held.find(place.version);
    if (place.version == shelf.head || std::exchange(held->second.is_used, false)) continue;
    drop(shelf, held);
    ++counters_.unused;
  }
}

void SnapshotMemory::drop(Shelf& shelf, std::map<uint64_t, Held>::iterator held) {
  discount(*held->second.snapshot);
  if (!held->second.preferred) others_bytes_ -= held->second.own_bytes;
  list_of(held->second.preferred).erase(held->second.place);
  left_.emplace_back(std::move(held->second.snapshot), nullptr);
  shelf.held.erase(held);
}

void SnapshotMemory::drop_tree(Shelf& shelf, std::map<uint64_t, model::TreePtr>::iterator tree) {
  counters_.bytes -= tree_bytes(*tree->second);
  --counters_.trees;
  left_.emplace_back(nullptr, std::move(tree->second));
  shelf.trees.erase(tree);
}

void SnapshotMemory::make_room() {
  while (others_bytes_ > kOlderBytes) evict(others_.back());
  while (counters_.bytes > budget_bytes_) {
    if (!others_.empty()) {
      evict(others_.back());
    } else if (!preferred_.empty()) {
      evict(preferred_.back());
    } else {
      const auto last = shelves_.find(ledgers_.back());
      while (!last->second.trees.empty()) drop_tree(last->second, last->second.trees.begin());
      ledgers_.pop_back();
      shelves_.erase(last);
    }
  }
}

void SnapshotMemory::evict(const Place& place) {
  Shelf& shelf = shelves_.at(place.ledger);
  drop(shelf, shelf.held.find(place.version));
  ++counters_.evicted;
}

// The tree of a snapshot is counted with it as well, in case the shelf drops it: a recent one is
// counted twice then, which errs on the safe side.
uint64_t SnapshotMemory::count(const Snapshot& snapshot) {
  const uint64_t before = counters_.bytes;
  counters_.bytes += own_bytes(snapshot) + tree_bytes(*snapshot.content.tree);
  for (const auto& [hash, content] : snapshot.content.blobs)
    if (++holders_[content.get()] == 1) counters_.bytes += kContentBytes + content->size();
  ++counters_.snapshots;
  return counters_.bytes - before;
}

void SnapshotMemory::discount(const Snapshot& snapshot) {
  counters_.bytes -= own_bytes(snapshot) + tree_bytes(*snapshot.content.tree);
  for (const auto& [hash, content] : snapshot.content.blobs) {
    const auto found = holders_.find(content.get());
    if (--found->second != 0) continue;
    counters_.bytes -= kContentBytes + content->size();
    holders_.erase(found);
  }
  --counters_.snapshots;
}

}  // namespace notp::registry
