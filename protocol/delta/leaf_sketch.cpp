#include "protocol/delta/leaf_sketch.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::delta {
namespace {

constexpr uint8_t kMinusOne = 255;

uint64_t mixed(uint64_t leaf, uint64_t i) {
  uint64_t z = leaf + i * 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

void put_number(Bytes& out, uint64_t value, int bytes) {
  while (bytes-- > 0) out.push_back(static_cast<char>(value >> 8 * bytes));
}

// Takes a number off the front of `in`, which must be long enough.
uint64_t take_number(ByteView& in, size_t bytes) {
  uint64_t value = 0;
  for (const char byte : in.substr(0, bytes)) value = value << 8 | static_cast<unsigned char>(byte);
  in.remove_prefix(bytes);
  return value;
}

bool none_twice(const LeafDifference& difference) {
  std::vector<uint64_t> all = difference.here;
  all.insert(all.end(), difference.there.begin(), difference.there.end());
  std::ranges::sort(all);
  return std::ranges::adjacent_find(all) == all.end();
}

}  // namespace

LeafSketch::Places LeafSketch::places_of(uint64_t leaf) {
  const uint64_t first = mixed(leaf, 1), second = mixed(leaf, 2);
  const uint64_t words[] = {first >> 32, first & UINT32_MAX, second >> 32, second & UINT32_MAX};
  Places out{};
  for (size_t j = 0; j < kPartitions; ++j)
    out.cells[j] = j * kPartitionCells + (words[j] * kPartitionCells >> 32);
  out.check = static_cast<uint32_t>(mixed(leaf, 3) >> 40);
  return out;
}

void LeafSketch::fold(uint64_t leaf, const Places& places, uint8_t count) {
  for (const size_t at : places.cells) {
    Cell& cell = cells_[at];
    cell.leaves ^= leaf;
    cell.checks ^= places.check;
    cell.count = static_cast<uint8_t>(cell.count + count);
  }
}

void LeafSketch::add(uint64_t leaf) { fold(leaf, places_of(leaf), 1); }

void LeafSketch::subtract(const LeafSketch& other) {
  for (size_t i = 0; i < cells_.size(); ++i) {
    cells_[i].leaves ^= other.cells_[i].leaves;
    cells_[i].checks ^= other.cells_[i].checks;
    cells_[i].count = static_cast<uint8_t>(cells_[i].count - other.cells_[i].count);
  }
}

Result<LeafSketch> LeafSketch::decode(ByteView bytes) {
  if (bytes.size() != kSketchBytes)
    return fail(ErrorCode::kMessage,
                fmt::format("a sketch of {} bytes instead of {}", bytes.size(), kSketchBytes));
  LeafSketch out;
  for (Cell& cell : out.cells_) {
    cell.leaves = take_number(bytes, 8);
    cell.checks = static_cast<uint32_t>(take_number(bytes, 3));
    cell.count = static_cast<uint8_t>(take_number(bytes, 1));
  }
  return out;
}

Bytes LeafSketch::encode() const {
  Bytes out;
  out.reserve(kSketchBytes);
  for (const Cell& cell : cells_) {
    put_number(out, cell.leaves, 8);
    put_number(out, cell.checks, 3);
    put_number(out, cell.count, 1);
  }
  return out;
}

bool LeafSketch::has_one_leaf(size_t cell) const {
  const Cell& at = cells_[cell];
  if (at.count != 1 && at.count != kMinusOne) return false;
  const Places places = places_of(at.leaves);
  return places.check == at.checks && places.cells[cell / kPartitionCells] == cell;
}

std::optional<LeafDifference> LeafSketch::read() const {
  LeafSketch rest = *this;
  LeafDifference out;
  std::vector<size_t> cells(cells_.size());  // changed since the last check
  for (size_t i = 0; i < cells.size(); ++i) cells[i] = i;
  size_t left = cells_.size();
  while (!cells.empty()) {
    const size_t at = cells.back();
    cells.pop_back();
    if (!rest.has_one_leaf(at)) continue;
    // Each leaf of a valid difference empties a cell permanently.
    if (left-- == 0) return std::nullopt;
    const uint64_t leaf = rest.cells_[at].leaves;
    const bool is_here = rest.cells_[at].count == 1;
    (is_here ? out.here : out.there).push_back(leaf);
    const Places places = places_of(leaf);
    rest.fold(leaf, places, is_here ? kMinusOne : 1);
    cells.insert(cells.end(), places.cells.begin(), places.cells.end());
  }
  if (std::ranges::any_of(rest.cells_, [](const Cell& cell) { return cell != Cell{}; }))
    return std::nullopt;
  std::ranges::sort(out.here);
  std::ranges::sort(out.there);
  if (!none_twice(out)) return std::nullopt;
  return out;
}

}  // namespace notp::delta
