// What differs between two sets of leaves, from a fixed number of bytes: an invertible Bloom lookup
// table (Goodrich and Mitzenmacher, 2011). Each end folds its leaves into a sketch; the difference
// of the two sketches can be read when it is of about a thousand leaves at most, whatever the size
// of the sets.
//
// A sketch has kPartitions partitions of kPartitionCells cells. Each leaf is in one cell of each
// partition. A cell is 12 bytes: the XOR of its leaves (8, big endian), the XOR of their checks (3,
// big endian) and their number modulo 256 (1).
//
// Places and check of a leaf are from the first three outputs r1, r2, r3 of SplitMix64 with the
// leaf as its state; all modulo 2^64, i = 1, 2, 3:
//
//   z  := leaf + i * 0x9e3779b97f4a7c15
//   z  := (z ^ z >> 30) * 0xbf58476d1ce4e5b9
//   z  := (z ^ z >> 27) * 0x94d049bb133111eb
//   ri := z ^ z >> 31
//
// With w0 = r1 >> 32, w1 = r1 mod 2^32, w2 = r2 >> 32 and w3 = r2 mod 2^32, the leaf's cell in
// partition j has the number j * kPartitionCells + (wj * kPartitionCells >> 32). Its check is
// r3 >> 40. Leaves are of a cryptographic hash, so a mixer is enough; who searches for leaves that
// share cells gains that a listed inventory is asked for.
//
// Of random differences that cannot be read there were, of 100,000: none with 500 leaves, 3 with
// 1,000, 40 with 1,050; and 6 % with 1,080, 42 % with 1,100, nearly all with 1,150. Up to 1,000 it
// is two leaves that share all four cells, at odds of d^2 / 2 to 360^4; three partitions of as many
// bytes fail a hundred times as often.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/bytes.hpp"

namespace notp {

inline constexpr size_t kSketchBytes = 4 * 360 * 12;

namespace delta {

// Leaves that only one of two sets has, ascending.
struct LeafDifference {
  std::vector<uint64_t> here, there;
};

class LeafSketch {
 public:
  // Of no leaves.
  LeafSketch() = default;
  // kMessage unless it has kSketchBytes.
  static Result<LeafSketch> decode(ByteView bytes);
  Bytes encode() const;

  void add(uint64_t leaf);
  // This set less the other: the leaves of both cancel out.
  void subtract(const LeafSketch& other);
  // What is left of a subtraction. nullopt when it is too much, or no difference of two sets at
  // all. Bounded work on hostile bytes: at most as many leaves as there are cells.
  std::optional<LeafDifference> read() const;

 private:
  static constexpr size_t kPartitions = 4;
  static constexpr size_t kPartitionCells = 360;
  static constexpr size_t kCellBytes = 12;
  static_assert(kPartitions * kPartitionCells * kCellBytes == kSketchBytes);

  struct Cell {
    uint64_t leaves = 0;
    uint32_t checks = 0;
    uint8_t count = 0;  // modulo 256
    bool operator==(const Cell&) const = default;
  };
  struct Places {
    std::array<size_t, kPartitions> cells;
    uint32_t check;
  };
  static Places places_of(uint64_t leaf);
  // Adds the leaf `count` times; 255 is once less.
  void fold(uint64_t leaf, const Places& places, uint8_t count);
  bool has_one_leaf(size_t cell) const;

  std::array<Cell, kPartitions * kPartitionCells> cells_{};
};

}  // namespace delta
}  // namespace notp
