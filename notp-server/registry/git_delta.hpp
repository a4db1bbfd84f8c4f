// Git's deltas (gitformat-pack(5), "Deltified representation"): a content as copies from another
// one and literal bytes between them.
#pragma once

#include <vector>

#include "common/bytes.hpp"

namespace notp {

// Immutable but for assignment. Contents have at most kBlobBytesMax.
class GitDelta {
 public:
  // A content of so many bytes, made of itself.
  static GitDelta identity(size_t bytes);
  // Makes `target` of `base`, in time that is linear in both.
  static GitDelta between(ByteView base, ByteView target);

  // What `earlier` makes of its base, and this one makes of that, at once: so that a content is one
  // delta away from its base however often it changed.
  GitDelta after(const GitDelta& earlier) const;

  // As a pack holds it, not yet deflated.
  Bytes encode() const;
  // About what encode() has, without making it.
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

}  // namespace notp
