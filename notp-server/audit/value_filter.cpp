#include "notp-server/audit/value_filter.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/limits.hpp"
#include "notp-server/audit/json_values.hpp"

namespace notp::audit {
namespace {

constexpr size_t kBitsPerValue = 10, kBitsSet = 7;
constexpr size_t kTableMin = 4096;  // a power of two, as are all sizes of the table
constexpr size_t kDistinctMax = limits::kFilterBytesMax * 8 / kBitsPerValue;

// Calls `visit(byte, mask)` for each bit of a value, until it returns false.
template <typename Visit>
bool visit_bits(uint64_t hash, size_t bytes, Visit&& visit) {
  const auto step = static_cast<uint32_t>(hash >> 32) | 1;
  auto at = static_cast<uint32_t>(hash);
  for (size_t i = 0; i < kBitsSet; ++i, at += step) {
    const uint64_t bit = (static_cast<uint64_t>(at) * (bytes * 8)) >> 32;
    if (!visit(static_cast<size_t>(bit / 8), static_cast<uint8_t>(1U << (bit % 8)))) return false;
  }
  return true;
}

void set_bits(Bytes& filter, uint64_t hash) {
  visit_bits(hash, filter.size(), [&](size_t byte, uint8_t mask) {
    filter[byte] = static_cast<char>(static_cast<uint8_t>(filter[byte]) | mask);
    return true;
  });
}

}  // namespace

uint64_t value_hash(ByteView text) {
  const uint64_t hash = XXH3_64bits(text.data(), text.size());
  return hash == 0 ? 1 : hash;
}

FilterBuilder::FilterBuilder() : table_(kTableMin) {}

void FilterBuilder::add(ByteView value) {
  const uint64_t hash = value_hash(value);
  if (bits_.empty())
    insert(hash);
  else
    set_bits(bits_, hash);
}

void FilterBuilder::add_json(ByteView json) {
  visit_json_values(json, scratch_, [&](ByteView value) {
    add(value);
    return true;
  });
}

void FilterBuilder::insert(uint64_t hash) {
  const size_t mask = table_.size() - 1;
  size_t at = hash & mask;
  for (; table_[at] != 0; at = (at + 1) & mask)
    if (table_[at] == hash) return;
  table_[at] = hash;
  if (++used_ * 2 > table_.size()) grow();
}

void FilterBuilder::grow() {
  std::vector<uint64_t> old;
  old.swap(table_);
  if (used_ > kDistinctMax / 2 && old.size() > kDistinctMax) {
    // The next size would hold more than the filter can.
    bits_.assign(limits::kFilterBytesMax, '\0');
    for (const uint64_t hash : old)
      if (hash != 0) set_bits(bits_, hash);
    return;
  }
  table_.resize(old.size() * 2);
  used_ = 0;
  for (const uint64_t hash : old)
    if (hash != 0) insert(hash);
}

Bytes FilterBuilder::build() && {
  if (!bits_.empty()) return std::move(bits_);
  Bytes filter((used_ * kBitsPerValue + 7) / 8, '\0');
  for (const uint64_t hash : table_)
    if (hash != 0) set_bits(filter, hash);
  return filter;
}

bool may_hold(ByteView filter, uint64_t hash) {
  return !filter.empty() && visit_bits(hash, filter.size(), [&](size_t byte, uint8_t mask) {
    return (static_cast<uint8_t>(filter[byte]) & mask) != 0;
  });
}

}  // namespace notp::audit
