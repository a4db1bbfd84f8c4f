// What a replay says about a recorded decision: pure, for the auditor and for the node's gate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/record/record.hpp"

namespace notp::record {

enum class Replay : uint8_t {
  kSame,     // the same result; what was masked in it is not compared
  kDiffers,  // another result, from all that the first evaluation saw
  kCannot,   // nothing can be said
};
// "same", "differs", "cannot".
std::string_view replay_name(Replay replay);

// Why nothing can be said.
enum class ReplayObstacle : uint8_t {
  kNone,
  kNotADecision,    // the record is of another kind
  kNoRelease,       // no release was active
  kReleaseMissing,  // the registry does not have it, or it is not the recorded one
  kWithheld,        // the record has neither input nor result
  kAdHocQuery,      // of a query and not of a path
  kNotEvaluated,    // the node gave no answer of a policy: too slow, refused
  kNotRecorded,     // the result of a built-in is needed and not in the record
  kMasked,          // another result, and the record lacks a part of what the policy saw
  kOtherEngine,     // another result, and an OPA decided, whose data others may have changed
  kEngineVersion,   // another result, and another version of OPA decided
  kReplayFailed,    // the replay was too slow, or too large
};
inline constexpr size_t kReplayObstacles = 12;
// "not_a_decision", "no_release", …; "" for kNone.
std::string_view obstacle_name(ReplayObstacle obstacle);

struct ReplayVerdict {
  Replay replay = Replay::kSame;
  ReplayObstacle obstacle = ReplayObstacle::kNone;
  std::string reason;                // for a person; empty unless it is kCannot
  Outcome outcome = Outcome::kNone;  // of the replay; kNone unless it came to its end
};

ReplayVerdict cannot(ReplayObstacle obstacle, std::string reason);

// The answer of an evaluation that was repeated.
struct ReplayedResult {
  std::optional<Bytes> result;          // JSON; nullopt: undefined or failed
  std::string error_code;               // OPA's, of a policy that failed; empty: it did not
  std::vector<std::string> unrecorded;  // built-ins whose results were needed and not recorded
  std::string engine_version;           // of OPA
  // The result depends on nothing that hidden_inputs() names.
  bool is_independent = false;
};

// Why a decision cannot be asked again; nullopt: it can. `active`: nullptr for none.
std::optional<ReplayVerdict> obstacle_of(const DecisionContent& decision, const ActiveSet* active);

// The verdict about a decision for which obstacle_of() is nullopt. Two failures are the same if
// OPA's codes are. A difference in what was masked in the result is none.
ReplayVerdict verdict_of(const DecisionContent& decision, const ActiveSet& active,
                         const ReplayedResult& replayed);

// Paths below input of what a mask took out or replaced, if nothing else that the policy may have
// seen is missing: where a difference depends on none of them, it is one. An index of an array
// stands for the whole array, since what was removed has moved the others. nullopt: something else
// is missing.
std::optional<std::vector<std::vector<std::string>>> hidden_inputs(const DecisionContent& decision);

// Whether the evaluation failed because a built-in did: only strict evaluations do.
bool was_strict(const DecisionContent& decision);

// The segments of a record's path: "a%2Fb/c" is {"a/b", "c"}.
std::vector<std::string> segments_of(std::string_view path);

}  // namespace notp::record
