// Limits of a node's table of tokens. None is part of the protocol.
#pragma once

#include <cstddef>
#include <cstdint>

namespace notp::limits {

// Changes of one shard since its file was written. More are sent again with each further one.
inline constexpr size_t kShardChangesSent = 128;
// And as long as they are not sent: an eighth of the shard, between these two.
inline constexpr size_t kShardChangesMin = 128, kShardChangesMax = 1'024;
// Shards that one call of expire() writes again: some milliseconds each, with 10⁶ tokens.
inline constexpr size_t kShardsExpiredAtOnce = 4;
// A shard is written again when one of so many of its entries has ended.
inline constexpr size_t kEndedShare = 16;
// Status lists of one lane, inflated. One beyond it is not kept: what refers to it is revoked.
inline constexpr uint64_t kListsInflatedMax = 256ULL << 20;

}  // namespace notp::limits
