// The effort of an encoder: a level, and a callback that may stop it.
#pragma once

#include "common/zstd.hpp"

namespace notp::delta {

struct EncodingTier {
  // Implicit: most callers only have a level.
  EncodingTier(int zstd_level, const KeepGoing* asked = nullptr)
      : level(zstd_level), keep_going(asked) {}

  int level;
  const KeepGoing* keep_going;  // null: encoding is not stopped
};

}  // namespace notp::delta
