// The Merkle tree over the records of a log: RFC 9162 §2.1 (the same as RFC 6962) with SHA-256.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "common/bytes.hpp"
#include "common/crypto/digest.hpp"

namespace notp::record {

inline constexpr size_t kSaltBytes = 16;
inline constexpr size_t kSegmentSecretBytes = 32;

// Returns the salt of a leaf: the first kSaltBytes of SHA-256(segment secret ‖ position as 8 bytes,
// big-endian). A leaf hash that outlives its record tells nothing about it.
Bytes leaf_salt(ByteView segment_secret, uint64_t position);

// Returns SHA-256(0x00 ‖ salt ‖ record).
Hash leaf_hash(ByteView salt, ByteView record);
// Returns SHA-256(0x01 ‖ left ‖ right).
Hash node_hash(const Hash& left, const Hash& right);

// A tree of `size` leaves by the roots of its perfect subtrees: all that is needed to append to it.
// One thread.
class Frontier {
 public:
  uint64_t size() const { return size_; }
  // Returns the root; of an empty tree it is SHA-256 of nothing.
  Hash root() const;
  // At most kPositionMax leaves.
  void append(const Hash& leaf);
  // Appends `count` leaves by the roots of the perfect subtrees that they make up, as subtrees()
  // returns them. kMessage: another number of hashes, or more than kPositionMax leaves.
  Result<void> extend(uint64_t count, std::span<const Hash> subtrees);

  // Returns the root of the perfect subtree that begins at `first` and has `leaves` leaves, if it
  // is one of those that the tree consists of.
  std::optional<Hash> subtree(uint64_t first, uint64_t leaves) const;

  // Size as varint, then the hashes from the largest subtree on.
  Bytes encode() const;
  static Result<Frontier> decode(ByteView bytes);
  bool operator==(const Frontier&) const = default;

 private:
  // Appends a perfect, aligned subtree of so many leaves.
  void add(Hash subtree, uint64_t leaves);

  uint64_t size_ = 0;
  std::vector<Hash> subtrees_;  // of sizes that are powers of two, descending
};

// Returns the number of perfect, aligned subtrees that the leaves [first, first + count) make up.
size_t subtree_count(uint64_t first, uint64_t count);
// Returns their roots, from left to right.
std::vector<Hash> subtrees(uint64_t first, std::span<const Hash> leaves);

// Returns the inclusion proof (RFC 9162 §2.1.3.1) of leaf `index`, which is one of them, in the
// tree of all `leaves`.
std::vector<Hash> inclusion_proof(uint64_t index, std::span<const Hash> leaves);
// RFC 9162 §2.1.3.2.
bool verify_inclusion(const Hash& leaf, uint64_t index, uint64_t size, std::span<const Hash> proof,
                      const Hash& root);

// --- proofs from a store of hashes

// Returns the root of the perfect subtree of `leaves` leaves, a power of two, at `first`, which is
// a multiple of it. Only subtrees that are full at the size in question are asked for.
using SubtreeSource = std::function<Result<Hash>(uint64_t first, uint64_t leaves)>;

// RFC 9162 §2.1.3.1: of leaf `index` in the tree of `size` leaves; index < size. Errors of
// `source`.
Result<std::vector<Hash>> inclusion_proof(uint64_t index, uint64_t size,
                                          const SubtreeSource& source);
// RFC 9162 §2.1.4.1: from the tree of `old_size` leaves to that of `size`; old_size <= size. Empty
// when they are equal, or the old one has no leaf. Errors of `source`.
Result<std::vector<Hash>> consistency_proof(uint64_t old_size, uint64_t size,
                                            const SubtreeSource& source);
// RFC 9162 §2.1.4.2. Every tree is consistent with the one of no leaves.
bool verify_consistency(uint64_t old_size, const Hash& old_root, uint64_t size, const Hash& root,
                        std::span<const Hash> proof);

// Returns the inclusion proof of leaf `index` in the tree that `before` becomes by `leaves`; index
// is one of them.
std::vector<Hash> inclusion_proof(const Frontier& before, std::span<const Hash> leaves,
                                  uint64_t index);

}  // namespace notp::record
