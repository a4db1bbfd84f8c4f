#include "notp-client/store/segments.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "common/limits.hpp"
#include "common/random.hpp"

namespace notp::store {
namespace {

// One random value for each byte value. The seed is not needed to read the format, but another seed
// would cut elsewhere, and equal segments would be stored twice.
const std::array<uint64_t, 256>& gear() {
  static const auto table = [] {
    SeededRandom random(0x6e6f7470);
    std::array<uint64_t, 256> words;
    for (uint64_t& word : words) word = random.next_u64();
    return words;
  }();
  return table;
}

static_assert(std::has_single_bit(limits::kSegmentBytesMean));

size_t segment_length(ByteView rest) {
  if (rest.size() <= limits::kSegmentBytesMin) return rest.size();
  // The top bits depend on the last 64 bytes, the low ones only on a few. A place is a cut with
  // probability 1 / (mean - min), which makes the expected length the mean.
  constexpr int kBits = std::bit_width(limits::kSegmentBytesMean - limits::kSegmentBytesMin) - 1;
  constexpr uint64_t kMask = ((1ULL << kBits) - 1) << (64 - kBits);
  const auto& words = gear();
  const size_t end = std::min(rest.size(), limits::kSegmentBytesMax);
  uint64_t rolling = 0;
  for (size_t at = limits::kSegmentBytesMin - 64; at < end; ++at) {
    rolling = (rolling << 1) + words[static_cast<uint8_t>(rest[at])];
    if (at + 1 >= limits::kSegmentBytesMin && (rolling & kMask) == 0) return at + 1;
  }
  return end;
}

}  // namespace

std::vector<ByteView> cut_segments(ByteView content) {
  std::vector<ByteView> segments;
  while (!content.empty()) {
    const size_t length = segment_length(content);
    segments.push_back(content.substr(0, length));
    content.remove_prefix(length);
  }
  return segments;
}

}  // namespace notp::store
