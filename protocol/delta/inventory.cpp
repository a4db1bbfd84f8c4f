#include "protocol/delta/inventory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"

namespace notp::delta {
namespace {

using namespace std::string_view_literals;

constexpr size_t kLeafBytes = sizeof(uint64_t);

void put_leaf(Bytes& out, uint64_t leaf) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(leaf >> shift));
}

// Returns the leaves of `list`; nullopt unless they are complete and strictly ascending.
std::optional<std::vector<uint64_t>> parse_list(ByteView list) {
  if (list.size() % kLeafBytes != 0) return std::nullopt;
  std::vector<uint64_t> leaves;
  leaves.reserve(list.size() / kLeafBytes);
  for (size_t at = 0; at < list.size(); at += kLeafBytes) {
    uint64_t leaf = 0;
    for (const char byte : list.substr(at, kLeafBytes))
      leaf = leaf << 8 | static_cast<unsigned char>(byte);
    if (!leaves.empty() && leaf <= leaves.back()) return std::nullopt;
    leaves.push_back(leaf);
  }
  return leaves;
}

std::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::kMessage, fmt::format("malformed inventory: {}", what));
}

// For calls that end before the tree is destroyed.
model::TreePtr borrowed(const model::Tree& tree) { return {std::shared_ptr<void>(), &tree}; }

LeafSketch sketch_of(const LeafIndex& index) {
  LeafSketch out;
  for (const LeafIndex::Held& each : index.held()) out.add(each.leaf);
  return out;
}

// Returns the leaves of a sketch of `files` leaves, strictly ascending, if it is near enough to the
// leaves of `index`.
std::optional<std::vector<uint64_t>> read_against(const LeafIndex& index, LeafSketch sketch,
                                                  uint64_t files) {
  sketch.subtract(sketch_of(index));
  const auto difference = sketch.read();
  if (!difference) return std::nullopt;
  const auto is_held = [&](uint64_t leaf) { return index.find(leaf) != nullptr; };
  if (!std::ranges::all_of(difference->there, is_held) ||
      !std::ranges::none_of(difference->here, is_held))
    return std::nullopt;
  std::vector<uint64_t> leaves = difference->here;
  auto gone = difference->there.begin();
  for (const LeafIndex::Held& each : index.held()) {
    if (gone != difference->there.end() && *gone == each.leaf)
      ++gone;
    else
      leaves.push_back(each.leaf);
  }
  if (leaves.size() != files) return std::nullopt;
  std::ranges::sort(leaves);
  return leaves;
}

// nullopt when it is a sketch that is near none of them.
std::optional<std::vector<uint64_t>> leaves_of(const Inventory& inventory,
                                               std::span<const LeafIndexPtr> candidates) {
  if (inventory.sketch.empty()) return parse_list(inventory.list);
  const auto sketch = LeafSketch::decode(inventory.sketch);
  for (const LeafIndexPtr& candidate : candidates)
    if (auto leaves = read_against(*candidate, *sketch, inventory.files)) return leaves;
  return std::nullopt;
}

// Searches leaves in several trees, one after the other.
class Search {
 public:
  // Strictly ascending.
  explicit Search(std::vector<uint64_t> leaves)
      : leaves_(std::move(leaves)), found_(leaves_.size()), missing_(leaves_.size()) {}

  void look_in(const LeafIndex& index) {
    if (missing_ == 0) return;
    auto held = index.held().begin();
    const auto end = index.held().end();
    for (size_t i = 0; i < leaves_.size() && held != end; ++i) {
      while (held != end && held->leaf < leaves_[i]) ++held;
      if (found_[i] != nullptr || held == end || held->leaf != leaves_[i]) continue;
      found_[i] = held->file;
      --missing_;
    }
  }

  CommonBase finish(std::span<const LeafIndexPtr> candidates) && {
    CommonBase out;
    out.tree = whole(candidates);
    if (out.tree == nullptr) out.tree = gather();
    for (size_t i = 0; i < leaves_.size(); ++i)
      if (found_[i] == nullptr) put_leaf(out.excluded_leaves, leaves_[i]);
    return out;
  }

 private:
  // Returns the tree of a candidate when its files are the found ones, as for a restored backup.
  model::TreePtr whole(std::span<const LeafIndexPtr> candidates) const {
    const size_t count = leaves_.size() - missing_;
    if (count == 0) return nullptr;
    for (const LeafIndexPtr& candidate : candidates) {
      if (candidate->held().size() != count || candidate->tree()->files().size() != count) continue;
      auto held = candidate->held().begin();
      size_t i = 0;
      while (i < leaves_.size() && (found_[i] == nullptr || found_[i] == (held++)->file)) ++i;
      if (i == leaves_.size()) return candidate->tree();
    }
    return nullptr;
  }

  // If two files have the same path, the one with the lower leaf stays.
  model::TreePtr gather() {
    std::vector<std::pair<std::string_view, size_t>> order;
    for (size_t i = 0; i < leaves_.size(); ++i)
      if (found_[i] != nullptr) order.emplace_back(found_[i]->first, i);
    std::ranges::sort(order);
    model::Files files;
    for (const auto& [path, i] : order) {
      if (!files.empty() && files.rbegin()->first == path)
        found_[i] = nullptr;
      else
        files.emplace_hint(files.end(), *found_[i]);
    }
    auto tree = model::Tree::make(std::move(files));
    if (!tree) {
      std::ranges::fill(found_, nullptr);
      tree = model::Tree::make({});
    }
    return std::make_shared<const model::Tree>(*std::move(tree));
  }

  std::vector<uint64_t> leaves_;
  std::vector<const model::Files::value_type*> found_;  // nullptr: in no tree so far
  size_t missing_;
};

}  // namespace

uint64_t leaf_of(std::string_view path, const Hash& blob) {
  Bytes input("notp.leaf.v1\0"sv);
  put_varint(input, path.size());
  input.append(path).append(blob.view());
  const Hash hash = sha256(input);
  uint64_t leaf = 0;
  for (size_t i = 0; i < kLeafBytes; ++i) leaf = leaf << 8 | hash.bytes[i];
  return leaf;
}

Result<void> check_inventory(const Inventory& inventory) {
  if (inventory.files > limits::kInventoryLeavesMax)
    return malformed(
        fmt::format("{} leaves, {} are allowed", inventory.files, limits::kInventoryLeavesMax));
  if (!inventory.sketch.empty()) {
    if (inventory.files == 0) return malformed("a sketch of no leaves");
    if (!inventory.list.empty()) return malformed("a list and a sketch");
    if (inventory.sketch.size() != kSketchBytes)
      return malformed(
          fmt::format("a sketch of {} bytes, not of {}", inventory.sketch.size(), kSketchBytes));
    return {};
  }
  if (inventory.list.size() != inventory.files * kLeafBytes)
    return malformed(
        fmt::format("a list of {} bytes for {} leaves", inventory.list.size(), inventory.files));
  if (!parse_list(inventory.list)) return malformed("leaves out of order");
  return {};
}

LeafIndex::LeafIndex(model::TreePtr tree, const std::set<Hash>& missing_blobs, LeafFunction leaf)
    : tree_(std::move(tree)) {
  held_.reserve(tree_->files().size());
  for (const auto& file : tree_->files())
    if (!missing_blobs.contains(file.second.hash))
      held_.push_back({leaf(file.first, file.second.hash), &file});
  std::ranges::sort(held_, {}, &Held::leaf);
  auto kept = held_.begin();
  for (auto next = held_.begin(); next != held_.end();) {
    const auto twins = next++;
    while (next != held_.end() && next->leaf == twins->leaf) ++next;
    if (next - twins == 1) *kept++ = *twins;
  }
  held_.erase(kept, held_.end());
}

const model::Files::value_type* LeafIndex::find(uint64_t leaf) const {
  const auto found = std::ranges::lower_bound(held_, leaf, {}, &Held::leaf);
  return found == held_.end() || found->leaf != leaf ? nullptr : found->file;
}

Inventory take_inventory(const LeafIndex& held, InventoryForm form) {
  Inventory out;
  out.files = held.held().size();
  if (form == InventoryForm::kShortest && out.files > limits::kInventoryListedMax) {
    out.sketch = sketch_of(held).encode();
    return out;
  }
  out.list.reserve(out.files * kLeafBytes);
  for (const LeafIndex::Held& each : held.held()) put_leaf(out.list, each.leaf);
  return out;
}

Inventory take_inventory(const model::Tree& tree, const std::set<Hash>& missing_blobs,
                         InventoryForm form) {
  return take_inventory(LeafIndex(borrowed(tree), missing_blobs), form);
}

Result<model::Tree> partial_base(const LeafIndex& held, ByteView excluded_leaves) {
  const auto leaves = parse_list(excluded_leaves);
  if (!leaves)
    return fail(ErrorCode::kArtifact, "a partial base without leaves that are malformed");
  std::vector<const model::Files::value_type*> kept;
  kept.reserve(held.held().size());
  auto next = leaves->begin();
  for (const LeafIndex::Held& each : held.held()) {
    if (next != leaves->end() && *next == each.leaf)
      ++next;
    else
      kept.push_back(each.file);
  }
  if (next != leaves->end())
    return fail(ErrorCode::kArtifact, "a partial base without a leaf that is not held");
  std::ranges::sort(kept, {}, [](const auto* file) -> const std::string& { return file->first; });
  model::Files files;
  for (const auto* file : kept) files.emplace_hint(files.end(), *file);
  return model::Tree::make(std::move(files));
}

Result<model::Tree> partial_base(const model::Tree& held, const std::set<Hash>& missing_blobs,
                                 ByteView excluded_leaves) {
  return partial_base(LeafIndex(borrowed(held), missing_blobs), excluded_leaves);
}

Result<std::optional<CommonBase>> find_common(const Inventory& inventory,
                                              std::span<const LeafIndexPtr> candidates) {
  NOTP_TRY(check_inventory(inventory));
  auto leaves = leaves_of(inventory, candidates);
  if (!leaves) return std::nullopt;
  Search search(*std::move(leaves));
  for (const LeafIndexPtr& candidate : candidates) search.look_in(*candidate);
  return std::move(search).finish(candidates);
}

Result<std::optional<CommonBase>> find_common(const Inventory& inventory,
                                              std::span<const model::TreePtr> candidates) {
  std::vector<LeafIndexPtr> indexes;
  for (const model::TreePtr& tree : candidates)
    indexes.push_back(std::make_shared<const LeafIndex>(tree));
  return find_common(inventory, indexes);
}

}  // namespace notp::delta
