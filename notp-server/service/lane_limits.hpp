// Limits on concurrent work at the registry, per identity and in total.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/limits.hpp"

namespace notp::limits {

// Threads of the lanes without a configuration key: admin commands wait for a disk, and are rare.
inline constexpr size_t kOrderThreads = 2, kNowPublishThreads = 2;

// Questions about recorded decisions take kAuditPageMs each, and search the same disk.
inline constexpr size_t kAuditThreads = 1;

// Concurrent tasks per identity. An identity that uses both threads of a small registry yields them
// to the next one that asks.
inline constexpr size_t kArtifactsAtOnceMax = 2, kQueriesAtOnceMax = 2;

// Waiting tasks. An agent wants kLedgersPerSessionMax artifacts when it reconnects, and again when
// its first session was cut; more than two sessions of that are several nodes under one name.
inline constexpr size_t kArtifactsWaitingPerIdentityMax = 2 * kLedgersPerSessionMax;
inline constexpr size_t kArtifactsWaitingMax = kOffloadQueueMax;
inline constexpr size_t kQueriesWaitingPerIdentityMax = 64, kQueriesWaitingMax = kOffloadQueueMax;
inline constexpr size_t kOrdersWaitingPerIdentityMax = 64, kOrdersWaitingMax = kOffloadQueueMax;
inline constexpr size_t kAuditsWaitingPerIdentityMax = 16, kAuditsWaitingMax = 256;
inline constexpr size_t kPublishesWaitingPerIdentityMax =
    kSessionsPerIdentityMax * kUploadsPerSessionMax;
inline constexpr size_t kPublishesWaitingMax = 256;

// Validation time of one identity's publishes: ten minutes in a row, and a fifth of one thread in
// the long run. A pipeline with a minute of tests can publish ten times in a row.
inline constexpr int64_t kValidationBudgetMs = 600'000;
inline constexpr int64_t kValidationRefillFactor = 5;

}  // namespace notp::limits
