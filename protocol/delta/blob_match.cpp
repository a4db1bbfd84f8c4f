#include "protocol/delta/blob_match.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "protocol/delta/blob_delta.hpp"

namespace notp::delta {
namespace {

constexpr size_t kBlockBytes = 16;
static_assert(kBlockBytes >= kCopyBytesMin);
// A copy from elsewhere costs an offset, splits literals that compress better whole, and leaves the
// place where the content continues: it must be worth that, more so from farther off.
constexpr size_t kNearBytesMin = 32;
constexpr size_t kNearDistance = 128;
constexpr size_t kFarBytesMin = 128;
// How far behind the end of a copy the content may continue in place before it is looked up
// elsewhere.
constexpr size_t kLookAheadBytes = 64;
// Number of compared old places of a block, from the last one in front of the expected place on.
constexpr int kCandidates = 6;
// Literal bytes after which the search skips one byte more each time, and the most it skips: below
// kBlockBytes, so that it still finds a long copy.
constexpr size_t kSkipAfterBytes = 2048;
constexpr size_t kSkipMax = 13;

uint64_t load64(const char* at) {
  uint64_t out;
  std::memcpy(&out, at, sizeof out);
  return out;
}

// The places of the base's aligned blocks by hash, each list in ascending order. The search moves
// through the base from front to end, so each list remembers its position.
class BlockIndex {
 public:
  explicit BlockIndex(ByteView base) : base_(base) {
    const size_t blocks = base.size() / kBlockBytes;
    shift_ = 64 - std::bit_width(std::max<size_t>(blocks, 2) * 2 - 1);
    heads_.assign(size_t{1} << (64 - shift_), kNone);
    next_.resize(blocks);
    for (size_t i = blocks; i-- > 0;) {
      uint32_t& head = heads_[bucket(base.data() + i * kBlockBytes)];
      next_[i] = head;
      head = static_cast<uint32_t>(i);
    }
  }

  // Calls `offer(place)` for the places of blocks that may equal the 16 bytes at `block`.
  void for_candidates(const char* block, size_t expected, const auto& offer) {
    uint32_t& head = heads_[bucket(block)];
    if (head == kNone) return;
    while (next_[head] != kNone && next_[head] * kBlockBytes <= expected) head = next_[head];
    uint32_t at = head;
    for (int i = 0; i < kCandidates && at != kNone; ++i, at = next_[at])
      if (std::memcmp(base_.data() + at * kBlockBytes, block, kBlockBytes) == 0)
        offer(at * kBlockBytes);
  }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};

  size_t bucket(const char* block) const {
    const uint64_t mixed = (load64(block) * 0x9e3779b97f4a7c15) ^
                           std::rotl(load64(block + 8) * 0xc2b2ae3d27d4eb4f, 31);
    return (mixed * 0x9e3779b97f4a7c15) >> shift_;
  }

  ByteView base_;
  int shift_ = 0;
  std::vector<uint32_t> heads_, next_;
};

class Matcher {
 public:
  Matcher(ByteView base, ByteView target) : base_(base), target_(target) {}

  std::vector<Copy> run() {
    while (at_ + kBlockBytes <= target_.size()) {
      if (at_ == literal_ && look_ahead()) continue;
      if (const size_t from = at_ - literal_ + source_; take_at(from) || take_at(source_)) continue;
      if (take_elsewhere()) continue;
      at_ += 1 + std::min(kSkipMax - 1, (at_ - literal_) / kSkipAfterBytes);
    }
    return std::move(out_);
  }

 private:
  size_t equal_bytes(size_t from, size_t to) const {
    return from < base_.size() ? common_prefix(base_.substr(from), target_.substr(to)) : 0;
  }

  // Right behind a copy: whether the content soon continues in place.
  bool look_ahead() {
    const size_t last = std::min(at_ + kLookAheadBytes, target_.size() - kBlockBytes);
    for (size_t to = at_; to <= last; ++to) {
      const size_t from = source_ + (to - at_);
      const size_t bytes = equal_bytes(from, to);
      if (bytes < kBlockBytes) continue;
      take(from, to, bytes);
      return true;
    }
    return false;
  }

  bool take_at(size_t from) {
    const size_t bytes = equal_bytes(from, at_);
    if (bytes < kBlockBytes) return false;
    take(from, at_, bytes);
    return true;
  }

  bool take_elsewhere() {
    if (base_.size() < kBlockBytes) return false;
    if (!index_) index_.emplace(base_);
    size_t best = 0, best_from = 0;
    index_->for_candidates(target_.data() + at_, source_, [&](size_t from) {
      const size_t bytes = equal_bytes(from, at_) + bytes_before(from, kBlockBytes);
      if (bytes > best) best = bytes, best_from = from;
    });
    const size_t in_place = source_ + (at_ - literal_);
    const size_t distance = std::max(best_from, in_place) - std::min(best_from, in_place);
    if (best < (distance <= kNearDistance ? kNearBytesMin : kFarBytesMin)) return false;
    const size_t before = bytes_before(best_from, at_ - literal_);
    const size_t from = best_from - before, to = at_ - before;
    take(from, to, equal_bytes(from, to));
    return true;
  }

  // Equal bytes in front of both places, within the literal bytes and `bytes_max`.
  size_t bytes_before(size_t from, size_t bytes_max) const {
    const size_t bytes = std::min({from, at_ - literal_, bytes_max});
    return common_suffix(base_.substr(from - bytes, bytes), target_.substr(at_ - bytes, bytes));
  }

  void take(size_t from, size_t to, size_t bytes) {
    out_.push_back({static_cast<uint32_t>(to - literal_), static_cast<uint32_t>(bytes),
                    static_cast<uint32_t>(from)});
    at_ = literal_ = to + bytes;
    source_ = from + bytes;
  }

  const ByteView base_, target_;
  size_t at_ = 0;                    // in the target
  size_t literal_ = 0;               // behind the last copy, in the target
  size_t source_ = 0;                // and in the base
  std::optional<BlockIndex> index_;  // made on first use
  std::vector<Copy> out_;
};

}  // namespace

// Compares in pieces of a size that is fast for memcmp.
size_t common_prefix(ByteView a, ByteView b) {
  const size_t bytes = std::min(a.size(), b.size());
  constexpr size_t kPiece = 4096;
  size_t at = 0;
  while (bytes - at >= 8 && load64(a.data() + at) == load64(b.data() + at)) {
    at += 8;
    while (bytes - at >= kPiece && std::memcmp(a.data() + at, b.data() + at, kPiece) == 0)
      at += kPiece;
  }
  while (at < bytes && a[at] == b[at]) ++at;
  return at;
}

size_t common_suffix(ByteView a, ByteView b) {
  const size_t bytes = std::min(a.size(), b.size());
  const char *const a_end = a.data() + a.size(), *const b_end = b.data() + b.size();
  constexpr size_t kPiece = 4096;
  size_t at = 0;
  while (bytes - at >= kPiece && std::memcmp(a_end - at - kPiece, b_end - at - kPiece, kPiece) == 0)
    at += kPiece;
  while (at < bytes &&
         a_end[-1 - static_cast<ptrdiff_t>(at)] == b_end[-1 - static_cast<ptrdiff_t>(at)])
    ++at;
  return at;
}

std::vector<Copy> find_copies(ByteView base, ByteView target) {
  return Matcher(base, target).run();
}

}  // namespace notp::delta
