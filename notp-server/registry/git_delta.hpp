// Git's deltas (gitformat-pack(5), "Deltified representation"): a content as copies from another
// one and literal bytes in between.
#pragma once

#include <vector>

#include "common/bytes.hpp"

namespace notp::registry {

// Immutable except for assignment. Contents have at most kBlobBytesMax.
class GitDelta {
 public:
  // The delta that makes a content of this size from itself.
  static GitDelta identity(size_t bytes);
  // The delta that makes `target` from `base`, in time that is linear in both.
  static GitDelta between(ByteView base, ByteView target);

  // Returns `earlier` followed by this delta as one delta, so that a content is one delta away from
  // its base however often it changed.
  GitDelta after(const GitDelta& earlier) const;

  // The pack's encoding, not yet deflated.
  Bytes encode() const;
  // The approximate size of encode()'s result, without creating it.
  size_t cost() const { return literals_.size() + pieces_.size() * sizeof(Piece); }

 private:
  // The target from `at` on: a copy of the base from `from` on, or of the literals.
  struct Piece {
    uint32_t at;
    uint32_t bytes;
    uint32_t from;
    bool copy;
  };
  void add_copy(uint32_t from, uint32_t bytes);
  void add_literal(ByteView bytes);

  size_t base_bytes_ = 0;
  size_t target_bytes_ = 0;
  std::vector<Piece> pieces_;  // in the order of `at`, without gaps
  Bytes literals_;
};

}  // namespace notp::registry
