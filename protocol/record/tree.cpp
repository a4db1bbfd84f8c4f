#include "protocol/record/tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/assert.hpp"
#include "common/limits.hpp"

namespace notp::record {
namespace {

constexpr char kLeaf = 0, kNode = 1;

// Returns the size of the largest perfect, aligned subtree that begins at `first` and has at most
// `count` leaves.
uint64_t subtree_size(uint64_t first, uint64_t count) {
  const uint64_t fitting = std::bit_floor(count);
  return first == 0 ? fitting : std::min(fitting, uint64_t{1} << std::countr_zero(first));
}

// Returns the root of a tree of one or more leaves.
Hash root_of(std::span<const Hash> leaves) {
  Frontier tree;
  for (const Hash& leaf : leaves) tree.append(leaf);
  return tree.root();
}

}  // namespace

Bytes leaf_salt(ByteView segment_secret, uint64_t position) {
  char bytes[8];
  for (size_t i = 0; i < sizeof bytes; ++i)
    bytes[i] = static_cast<char>(position >> (8 * (sizeof bytes - 1 - i)));
  const Hash hash = Sha256().update(segment_secret).update({bytes, sizeof bytes}).finish();
  return Bytes(hash.view().substr(0, kSaltBytes));
}

Hash leaf_hash(ByteView salt, ByteView record) {
  return Sha256().update({&kLeaf, 1}).update(salt).update(record).finish();
}

Hash node_hash(const Hash& left, const Hash& right) {
  char bytes[1 + 2 * Hash::kSize] = {kNode};
  std::memcpy(bytes + 1, left.bytes.data(), Hash::kSize);
  std::memcpy(bytes + 1 + Hash::kSize, right.bytes.data(), Hash::kSize);
  return sha256({bytes, sizeof bytes});
}

// --- frontier

Hash Frontier::root() const {
  if (subtrees_.empty()) return sha256({});
  Hash out = subtrees_.back();
  for (size_t i = subtrees_.size() - 1; i > 0; --i) out = node_hash(subtrees_[i - 1], out);
  return out;
}

void Frontier::add(Hash subtree, uint64_t leaves) {
  for (uint64_t bit = leaves; (size_ & bit) != 0; bit <<= 1) {
    subtree = node_hash(subtrees_.back(), subtree);
    subtrees_.pop_back();
  }
  subtrees_.push_back(subtree);
  size_ += leaves;
}

void Frontier::append(const Hash& leaf) {
  NOTP_ASSERT(size_ < limits::kPositionMax, "a log that has reached its last position");
  add(leaf, 1);
}

Result<void> Frontier::extend(uint64_t count, std::span<const Hash> subtrees) {
  if (count > limits::kPositionMax - std::min(size_, limits::kPositionMax))
    return fail(ErrorCode::kMessage, fmt::format("a log of {} records cannot grow by {}: it has at "
                                                 "most {}",
                                                 size_, count, limits::kPositionMax));
  if (const size_t needed = subtree_count(size_, count); subtrees.size() != needed)
    return fail(ErrorCode::kMessage,
                fmt::format("{} records from position {} make up {} subtrees, not {}", count, size_,
                            needed, subtrees.size()));
  for (const Hash& subtree : subtrees) {
    const uint64_t leaves = subtree_size(size_, count);
    add(subtree, leaves);
    count -= leaves;
  }
  return {};
}

std::optional<Hash> Frontier::subtree(uint64_t first, uint64_t leaves) const {
  uint64_t at = 0;
  for (const Hash& hash : subtrees_) {
    const uint64_t here = std::bit_floor(size_ - at);
    if (at == first && here == leaves) return hash;
    at += here;
  }
  return std::nullopt;
}

Bytes Frontier::encode() const {
  Bytes out;
  put_varint(out, size_);
  for (const Hash& subtree : subtrees_) out += subtree.view();
  return out;
}

Result<Frontier> Frontier::decode(ByteView bytes) {
  Frontier out;
  NOTP_ASSIGN(out.size_, take_varint(bytes));
  if (out.size_ > limits::kPositionMax)
    return fail(ErrorCode::kMessage, fmt::format("a tree of {} records, at most {} are possible",
                                                 out.size_, limits::kPositionMax));
  const auto count = static_cast<size_t>(std::popcount(out.size_));
  if (bytes.size() != count * Hash::kSize)
    return fail(ErrorCode::kMessage, fmt::format("a tree of {} records has {} subtrees, not {} "
                                                 "bytes of them",
                                                 out.size_, count, bytes.size()));
  for (; !bytes.empty(); bytes.remove_prefix(Hash::kSize)) {
    NOTP_ASSIGN(const Hash hash, Hash::from_bytes(bytes.substr(0, Hash::kSize)));
    out.subtrees_.push_back(hash);
  }
  return out;
}

// --- subtrees and proofs

size_t subtree_count(uint64_t first, uint64_t count) {
  size_t subtrees = 0;
  for (; count > 0; ++subtrees) {
    const uint64_t leaves = subtree_size(first, count);
    first += leaves;
    count -= leaves;
  }
  return subtrees;
}

std::vector<Hash> subtrees(uint64_t first, std::span<const Hash> leaves) {
  std::vector<Hash> out;
  while (!leaves.empty()) {
    const uint64_t size = subtree_size(first, leaves.size());
    out.push_back(root_of(leaves.first(size)));
    leaves = leaves.subspan(size);
    first += size;
  }
  return out;
}

std::vector<Hash> inclusion_proof(uint64_t index, std::span<const Hash> leaves) {
  NOTP_ASSERT(index < leaves.size(), "the leaf is one of the tree");
  std::vector<Hash> out;  // from the root down
  while (leaves.size() > 1) {
    const uint64_t left = std::bit_floor(leaves.size() - 1);
    const bool is_left = index < left;
    out.push_back(root_of(is_left ? leaves.subspan(left) : leaves.first(left)));
    leaves = is_left ? leaves.first(left) : leaves.subspan(left);
    if (!is_left) index -= left;
  }
  std::ranges::reverse(out);
  return out;
}

bool verify_inclusion(const Hash& leaf, uint64_t index, uint64_t size, std::span<const Hash> proof,
                      const Hash& root) {
  if (index >= size) return false;
  uint64_t last = size - 1;
  Hash hash = leaf;
  for (const Hash& sibling : proof) {
    if (last == 0) return false;
    if ((index & 1) != 0 || index == last) {
      hash = node_hash(sibling, hash);
      // A right edge without siblings: the levels up to the next left sibling.
      while ((index & 1) == 0 && index != 0) {
        index >>= 1;
        last >>= 1;
      }
    } else {
      hash = node_hash(hash, sibling);
    }
    index >>= 1;
    last >>= 1;
  }
  return last == 0 && hash == root;
}

// --- proofs from a store of hashes

namespace {

// The root of `count` leaves from `first` on, which begin at a multiple of their next power of two.
Result<Hash> range_root(uint64_t first, uint64_t count, const SubtreeSource& source) {
  std::vector<Hash> parts;
  while (count > 0) {
    const uint64_t leaves = std::bit_floor(count);
    NOTP_ASSIGN(const Hash part, source(first, leaves));
    parts.push_back(part);
    first += leaves;
    count -= leaves;
  }
  Hash out = parts.back();
  for (size_t i = parts.size() - 1; i > 0; --i) out = node_hash(parts[i - 1], out);
  return out;
}

// The number of leaves in the left part of a tree of `count` leaves.
uint64_t left_part(uint64_t count) { return std::bit_floor(count - 1); }

}  // namespace

Result<std::vector<Hash>> inclusion_proof(uint64_t index, uint64_t size,
                                          const SubtreeSource& source) {
  NOTP_ASSERT(index < size, "the leaf is one of the tree");
  std::vector<Hash> out;  // from the root down
  uint64_t first = 0;
  while (size > 1) {
    const uint64_t left = left_part(size);
    const bool is_left = index - first < left;
    NOTP_ASSIGN(const Hash sibling, is_left ? range_root(first + left, size - left, source)
                                            : range_root(first, left, source));
    out.push_back(sibling);
    if (!is_left) first += left;
    size = is_left ? left : size - left;
  }
  std::ranges::reverse(out);
  return out;
}

Result<std::vector<Hash>> consistency_proof(uint64_t old_size, uint64_t size,
                                            const SubtreeSource& source) {
  NOTP_ASSERT(old_size <= size, "a tree is consistent with smaller ones");
  std::vector<Hash> out;  // from the root down
  if (old_size == 0 || old_size == size) return out;
  uint64_t first = 0;
  bool is_whole = true;  // the old tree is the part that is looked at: its root is known already
  while (old_size != size) {
    const uint64_t left = left_part(size);
    if (old_size <= left) {
      NOTP_ASSIGN(const Hash right, range_root(first + left, size - left, source));
      out.push_back(right);
      size = left;
    } else {
      NOTP_ASSIGN(const Hash whole_left, range_root(first, left, source));
      out.push_back(whole_left);
      first += left;
      old_size -= left;
      size -= left;
      is_whole = false;
    }
  }
  if (!is_whole) {
    NOTP_ASSIGN(const Hash last, range_root(first, size, source));
    out.push_back(last);
  }
  std::ranges::reverse(out);
  return out;
}

bool verify_consistency(uint64_t old_size, const Hash& old_root, uint64_t size, const Hash& root,
                        std::span<const Hash> proof) {
  if (old_size > size) return false;
  if (old_size == size) return old_root == root && proof.empty();
  if (old_size == 0) return proof.empty();
  // The old tree's last subtree is its root when it is perfect, and comes first otherwise.
  std::optional<Hash> start;
  if (std::has_single_bit(old_size)) start = old_root;
  uint64_t node = old_size - 1, last = size - 1;
  for (; (node & 1) != 0; node >>= 1) last >>= 1;
  if (!start) {
    if (proof.empty()) return false;
    start = proof.front();
    proof = proof.subspan(1);
  }
  Hash old_hash = *start, hash = *start;
  for (const Hash& sibling : proof) {
    if (last == 0) return false;
    if ((node & 1) != 0 || node == last) {
      old_hash = node_hash(sibling, old_hash);
      hash = node_hash(sibling, hash);
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      hash = node_hash(hash, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && old_hash == old_root && hash == root;
}

std::vector<Hash> inclusion_proof(const Frontier& before, std::span<const Hash> leaves,
                                  uint64_t index) {
  const uint64_t begin = before.size();
  NOTP_ASSERT(index >= begin && index - begin < leaves.size(), "the leaf is one of `leaves`");
  const auto source = [&](uint64_t first, uint64_t count) -> Result<Hash> {
    if (first >= begin) return root_of(leaves.subspan(first - begin, count));
    // What the path to a new leaf passes is either a whole part of the tree before, or grows out of
    // it.
    Frontier grown = before;
    while (grown.size() < first + count) grown.append(leaves[grown.size() - begin]);
    const auto root = grown.subtree(first, count);
    NOTP_ASSERT(root, "a subtree beside the path");
    return *root;
  };
  return *inclusion_proof(index, begin + leaves.size(), source);
}

}  // namespace notp::record
