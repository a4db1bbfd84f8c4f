// Measures the codec in this process, beside the cost of touching the same bytes.
#pragma once

#include "common/bytes.hpp"
#include "protocol/model/tree.hpp"

namespace notp::bench {

// One release with its content in memory.
struct LoadedRelease {
  Bytes envelope;
  model::ModelContent content;
};

struct CodecTimes {
  uint64_t artifact_bytes = 0;  // of this encoding, the sum of:
  uint64_t envelope_bytes = 0, program_bytes = 0, content_bytes = 0;  // section headers included
  uint64_t new_bytes = 0;  // of files that differ from the base's
  // Wall time in ms, the best of a few runs, because the machine is shared.
  double encode_ms = 0, apply_ms = 0;
  double control_ms = 0;  // memcpy and SHA-256 of new_bytes
};

// `base` may be null: full content. kContentRoot when applying does not restore the target.
Result<CodecTimes> measure_codec(const LoadedRelease* base, const LoadedRelease& target);

}  // namespace notp::bench
