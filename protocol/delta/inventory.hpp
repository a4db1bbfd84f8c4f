// Inventories list what a node holds, for a registry that does not know the node's release, and
// lead to a partial base that both ends agree on. Their size is proportional to the difference: an
// artifact against the partial base carries only the rest. Pure functions; nothing that a peer
// sends is trusted, because the content root of the outcome is signed.
//
// The leaf of a file is the first 8 bytes, as a big-endian number, of
// H("notp.leaf.v1\0" ‖ path length as varint ‖ path ‖ blob hash). Two files of one tree with the
// same leaf (of 100,000 files: once in 4 billion trees) count as not held, both of them.
//
// A listed inventory has every leaf, 8 bytes each big endian, strictly ascending. A sketched one
// has the fixed size of leaf_sketch.hpp, whatever the number of leaves; the registry can read the
// difference to one of its trees when that is small.
//
// A partial base is a tree of some of the node's files, named by its content root. The registry
// names the files that it left out by their leaves, in the form of a listed inventory
// (`excluded_leaves`).
#pragma once

#include <optional>
#include <set>
#include <span>
#include <vector>

#include "protocol/delta/leaf_sketch.hpp"
#include "protocol/model/tree.hpp"

namespace notp::delta {

uint64_t leaf_of(std::string_view path, const Hash& blob);

// An inventory on the wire. Exactly one of list and sketch is set, unless there are no files.
struct Inventory {
  uint64_t files = 0;  // number of leaves
  Bytes list;
  Bytes sketch;  // kSketchBytes
  bool operator==(const Inventory&) const = default;
};

// kMessage when sizes, order or counts violate the rules above.
Result<void> check_inventory(const Inventory& inventory);

// The leaves of a tree, computed once: one SHA-256 for each file. Keeps the tree. Immutable after
// construction.
class LeafIndex {
 public:
  struct Held {
    uint64_t leaf;
    const model::Files::value_type* file;  // of tree()
  };
  // Tests use a function other than leaf_of to make leaves collide.
  using LeafFunction = uint64_t (*)(std::string_view path, const Hash& blob);

  // Files whose content is in `missing_blobs` do not count as held.
  explicit LeafIndex(model::TreePtr tree, const std::set<Hash>& missing_blobs = {},
                     LeafFunction leaf = leaf_of);

  const model::TreePtr& tree() const { return tree_; }
  // By leaf, strictly ascending.
  const std::vector<Held>& held() const { return held_; }
  // nullptr when no file, or more than one, has this leaf.
  const model::Files::value_type* find(uint64_t leaf) const;

 private:
  model::TreePtr tree_;
  std::vector<Held> held_;
};
using LeafIndexPtr = std::shared_ptr<const LeafIndex>;

// --- the node's side

enum class InventoryForm : uint8_t {
  kShortest,  // sketched above limits::kInventoryListedMax leaves
  kListed,    // for a registry that could not read the sketch
};
Inventory take_inventory(const LeafIndex& held, InventoryForm form);
Inventory take_inventory(const model::Tree& tree, const std::set<Hash>& missing_blobs,
                         InventoryForm form);

// Returns the held files less the leaves in `excluded_leaves`. kArtifact when that is malformed or
// has a leaf that is not held. The caller compares the content root with the one that the registry
// named.
Result<model::Tree> partial_base(const LeafIndex& held, ByteView excluded_leaves);
Result<model::Tree> partial_base(const model::Tree& held, const std::set<Hash>& missing_blobs,
                                 ByteView excluded_leaves);

// --- the registry's side

struct CommonBase {
  model::TreePtr
      tree;  // files of the inventory that a candidate has, by path and content; may be empty
  Bytes excluded_leaves;  // the other leaves of the inventory, as in a listed one
};
// Looks for the inventory's leaves in all `candidates`: the registry's trees, best first. nullopt:
// it is a sketch, and no candidate is near enough to read it; the caller asks for a listed one.
// kMessage as check_inventory(). For an inventory that no tree can have (two files of one path, a
// file where a folder is) the common base lacks files, at worst all.
Result<std::optional<CommonBase>> find_common(const Inventory& inventory,
                                              std::span<const LeafIndexPtr> candidates);
Result<std::optional<CommonBase>> find_common(const Inventory& inventory,
                                              std::span<const model::TreePtr> candidates);

}  // namespace notp::delta
