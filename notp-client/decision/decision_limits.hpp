// Limits on the recording of decisions, beside those of common/limits.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace notp::limits {

// A pointer that a record names; a longer one is only counted: names may be as long as an input.
inline constexpr size_t kMaskedPathBytesMax = 1 << 10;
// YAML is converted on the thread that answers, and its reader is slow on hostile text.
inline constexpr size_t kRecordedYamlBytesMax = 64 << 10;
// What else an engine adds to a record: errors, timers, labels of rules. Each; a larger one is left
// out.
inline constexpr size_t kRecordedExtraBytesMax = 64 << 10;
inline constexpr size_t kRecordedTxnBytesMax = 512;  // each text of a transaction token
// Masks that one input meets: each is compared with each member. A path of no ledger has those of
// all.
inline constexpr size_t kMasksAtOnceMax = 512;
inline constexpr int64_t kMaskFailureLogMs = 60'000;  // between two log lines about failed masks
// A mask that matched nothing for so long, while there were decisions, is reported.
inline constexpr int64_t kMaskUnmatchedMs = 24LL * 3600 * 1000;
// Active sets whose facts are kept: while a PDP changes over, workers decide with two of them.
inline constexpr size_t kRecordedSetsMax = 4;

}  // namespace notp::limits
