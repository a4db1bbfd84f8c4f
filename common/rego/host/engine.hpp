// The embedded engine: two supervised workers behind one queue.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <span>

#include "common/rego/check.hpp"
#include "common/rego/snapshot.hpp"

namespace notp::rego {

struct Question {
  std::vector<std::string> path;            // segments below data
  std::vector<std::optional<Bytes>> inputs;  // JSON texts; one, or several for a batch of one snapshot
  std::string caller;                        // who asks, for quarantine; empty: nobody in particular
  int64_t deadline_ms = 0;                   // soft; 0: the configured one
  uint32_t flags = 0;                        // EvaluationFlag
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
  SnapshotPtr snapshot;                          // that decided, all of it
  std::vector<Result<Evaluation>> evaluations;  // one for each input
  int64_t time_ns = 0;                           // the one reading of the clock
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

struct EngineOptions {
  std::string worker;             // path of notp-pdp; empty: beside this executable
  int64_t deadline_ms = 1'000;    // soft, of one evaluation
  int64_t grace_ms = 250;         // from there to the kill
  uint64_t memory_bytes = 256ULL << 20;  // of a worker, beside 20 times the data's bytes
  size_t waiting_max = 4'096;     // questions
  size_t result_bytes_max = 64 << 20;
};

// What the engine is and has been through: for health and metrics.
struct EngineStatus {
  bool serving = false;  // a worker decides
  std::string opa_version;
  uint64_t starts = 0, kills = 0, deaths = 0, takeovers = 0, repeats = 0;
  uint64_t in_flight = 0, waiting = 0, suspects = 0, quarantined = 0;
  std::string last_error;
};

// All methods are thread-safe and return at once; callbacks run on `executor` and must not block.
class Engine {
 public:
  // `executor` reads the workers' answers, from any of its threads; `pool` loads content. Both
  // outlive this object.
  Engine(boost::asio::any_io_executor executor, boost::asio::thread_pool& pool,
         EngineOptions options, std::function<void(QuarantineNotice)> on_quarantine = {});
  // Ends the workers. Callbacks that are still owed are called with kCancelled before it returns.
  ~Engine();

  // Decides with the active snapshot. The ticket is for cancel().
  uint64_t evaluate(Question question, DecisionDone done);
  // For a caller that has gone: its evaluation is stopped, and `done` is called with kCancelled.
  void cancel(uint64_t ticket);

  // Replaces the snapshot. `done` says that a worker decides with it, or why it was refused:
  // kPdpRejected with findings, the loader's codes, kUnavailable. A newer call supersedes an older
  // one whose outcome is open: that one gets kCancelled. A snapshot that differs in `system` alone
  // compiles nothing.
  void activate(SnapshotPtr snapshot, std::function<void(Result<void>)> done);
  SnapshotPtr active() const;

  EngineStatus status() const;

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp::rego
