// How much of each kind of work one identity, and everybody, may have under way at the registry.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/limits.hpp"

namespace notp::limits {

// Threads of the lanes that the configuration says nothing of: orders wait for a disk, and few
// people give them.
inline constexpr size_t kOrderThreads = 2, kNowPublishThreads = 2;

// Of one identity at once. An identity that uses both threads of a small registry leaves them with
// the next one that asks.
inline constexpr size_t kArtifactsAtOnceMax = 2, kQueriesAtOnceMax = 2;

// What waits. An agent wants kLedgersPerSessionMax artifacts when it comes back, and again when its
// first session was cut; more than two sessions of that are several nodes under one name.
inline constexpr size_t kArtifactsWaitingPerIdentityMax = 2 * kLedgersPerSessionMax;
inline constexpr size_t kArtifactsWaitingMax = kOffloadQueueMax;
inline constexpr size_t kQueriesWaitingPerIdentityMax = 64, kQueriesWaitingMax = kOffloadQueueMax;
inline constexpr size_t kOrdersWaitingPerIdentityMax = 64, kOrdersWaitingMax = kOffloadQueueMax;
inline constexpr size_t kPublishesWaitingPerIdentityMax =
    kSessionsPerIdentityMax * kUploadsPerSessionMax;
inline constexpr size_t kPublishesWaitingMax = 256;

// Validation of one identity's publishes: ten minutes at a stretch, and a fifth of one place in the
// long run. A pipeline with a minute of tests can publish ten times in a row.
inline constexpr int64_t kValidationBudgetMs = 600'000;
inline constexpr int64_t kValidationRefillFactor = 5;

}  // namespace notp::limits
