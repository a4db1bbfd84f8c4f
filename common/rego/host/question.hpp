// What is asked of the engine, and what it answers.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/rego/snapshot.hpp"

namespace notp::rego {

struct Question {
  std::vector<std::string> path;  // segments below data
  std::vector<std::optional<Bytes>>
      inputs;               // JSON texts; one, or several for a batch of one snapshot
  std::string caller;       // who asks, for quarantine; empty: nobody in particular
  int64_t deadline_ms = 0;  // soft; 0: the configured one
  uint32_t flags = 0;       // EvaluationFlag
};

enum EvaluationFlag : uint32_t {
  kStrictBuiltinErrors = 1,
  kRecordNonDeterministic = 2,
  kMetrics = 4,
  kExplain = 8,
  kListBuiltinErrors = 16,
};

// Of one input.
struct Evaluation {
  std::optional<Bytes> value;  // JSON; nullopt: undefined
  Bytes extras;                // JSON object by the question's flags; empty: none
};

struct Decision {
  SnapshotPtr snapshot;                         // that decided, all of it
  std::vector<Result<Evaluation>> evaluations;  // one for each input
  int64_t time_ns = 0;                          // the one reading of the clock
  uint64_t evaluation_ns = 0;
};

// kMessage: the input is not JSON. kInvalidModel: the policy failed, with OPA's message. kTimeout:
// past its soft deadline. kLimit: the result is too large. kUnavailable: nothing is active yet, or
// the engine does not start. kQuarantined: this path was stopped for its work; the message says for
// how long. kOverloaded: too many wait. kCancelled.
using DecisionDone = std::function<void(Result<Decision>)>;

// A path that is refused for a while because of the work or memory it took, or is free again.
struct QuarantineNotice {
  std::string path;    // "a/b/c"
  std::string ledger;  // SnapshotLedger::name; empty: of none
  std::string caller;  // empty: for every caller
  std::string reason;  // for a person
  int64_t for_ms = 0;  // 0: it has ended
};

// What the engine is and has been through: for health and metrics.
struct EngineStatus {
  bool serving = false;  // a worker decides
  std::string opa_version;
  uint64_t starts = 0, kills = 0, deaths = 0, takeovers = 0, repeats = 0;
  uint64_t units_compiled = 0;  // of snapshots that were activated, by all workers
  uint64_t in_flight = 0, waiting = 0, suspects = 0, quarantined = 0;
  std::string last_error;
};

}  // namespace notp::rego
