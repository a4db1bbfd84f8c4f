// How hard an encoder tries.
#pragma once

#include "common/zstd.hpp"

namespace notp::delta {

struct EncodingTier {
  // Implicit: most callers only have a level.
  EncodingTier(int zstd_level, const KeepGoing* asked = nullptr)
      : level(zstd_level), keep_going(asked) {}

  int level;
  const KeepGoing* keep_going;  // null: nothing stops it
};

}  // namespace notp::delta
