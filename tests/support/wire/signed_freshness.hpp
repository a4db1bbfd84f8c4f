// What a registry signs about freshness, with the freshness key of tracked_root().
#pragma once

#include <algorithm>
#include <utility>

#include "common/limits.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp::samples {

// Fills in what is missing; a root that is named stays.
template <typename Statement>
void issue(Statement& statement, uint64_t sequence_min, TimeMs lifetime_ms, Now now) {
  statement.trust_domain = kDomain;
  statement.sequence = std::max(sequence_min, static_cast<uint64_t>(now.wall_ms));
  statement.root_version = std::max<uint64_t>(statement.root_version, 1);
  statement.issued_ms = now.wall_ms;
  statement.expires_ms = now.wall_ms + lifetime_ms;
}

inline std::pair<trust::Freshness, Bytes> signed_freshness(trust::Freshness listed,
                                                           uint64_t sequence_min, Now now) {
  issue(listed, sequence_min, limits::kFreshnessLifetimeMs, now);
  Bytes signature = signed_by(listed, {7}).signatures.front().signature;
  return {std::move(listed), std::move(signature)};
}

inline std::pair<trust::Assignment, Bytes> signed_assignment(trust::Assignment assigned,
                                                             uint64_t sequence_min, Now now) {
  issue(assigned, sequence_min, limits::kAssignmentLifetimeMs, now);
  Bytes envelope = signed_by(assigned, {7}).encode();
  return {std::move(assigned), std::move(envelope)};
}

}  // namespace notp::samples
