// Evaluates recorded questions again, with what their evaluations saw, in a worker process of its
// own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/rego/host/question.hpp"
#include "common/rego/snapshot.hpp"

namespace notp::rego {

class CheckerProcess;
struct ContentNeed;
struct OutgoingFrame;

// Workers of one Replayer that may be lost: each costs a start.
inline constexpr size_t kReplayRestartsMax = 8;

struct ReplayOptions {
  std::string worker;                    // path of notp-pdp; empty: beside this executable
  std::string opa_version;               // that it must link; empty: the one this build pins
  uint64_t memory_bytes = 256ULL << 20;  // of the worker, beside 20 times the data's bytes
  size_t result_bytes_max = 64 << 20;
  // A node has decided with this content: it is compiled as it is asked for. Otherwise all of it is
  // compiled at the start, and what does not compile is refused (kPdpRejected).
  bool is_accepted = true;
  int64_t activate_ms = 60'000;  // wall time to load and compile a snapshot
};

// What a record says about one evaluation.
struct RecordedQuestion {
  std::vector<std::string> path;  // segments below data
  InputText input;                // JSON; none: undefined
  int64_t eval_time_ns = 0;       // the one reading of the clock; 0: unknown
  Bytes nd_builtin_cache;         // JSON: result by arguments, by built-in; empty: none
  // It failed because a built-in did (eval_builtin_error): only strict evaluations do.
  bool is_strict = false;
};

// The answer of an evaluation that came to its end.
struct Replayed {
  std::optional<Bytes> result;  // JSON; nullopt: undefined, or one of the others below
  std::optional<Error> error;   // the policy failed; as from Engine, with evaluation_errors()
  std::string error_code;       // with `error`: OPA's code of the first of them
  // The built-in whose result is needed but was not recorded: the evaluation ended there. Sorted.
  std::vector<std::string> unrecorded;
};

// Nothing leaves the worker in a replay: http.send, net.lookup_ip_addr, opa.runtime, rand.intn,
// uuid.rfc4122 and those that sign give what was recorded, or end the evaluation as `unrecorded`.
// The clock says eval_time_ns. Those that verify tokens give what was recorded; else they compute
// it, except for a token without its signature.
//
// Blocking; every call, the end included, on the thread that started it: the worker ends with that
// thread. Every bound of time is wall time. A worker that died or was stopped is started again with
// the next question, at most kReplayRestartsMax times in all.
class Replayer {
 public:
  // kUnavailable: no worker starts, or it ended while it loaded. kTimeout, kLimit: it was stopped
  // then, after activate_ms or at its memory. kPdpRejected with findings: the content does not
  // compile. The errors of the snapshot's loader.
  static Result<std::unique_ptr<Replayer>> start(SnapshotPtr snapshot, ReplayOptions options = {});
  ~Replayer();
  Replayer(const Replayer&) = delete;
  Replayer& operator=(const Replayer&) = delete;

  // Replaces the snapshot; only what differs is loaded. The errors of start(): the next question
  // tries it again, so that no other snapshot answers.
  Result<void> activate(SnapshotPtr snapshot);

  // kMessage: path, input or recorded results are malformed. kTimeout: not done within
  // `deadline_ms`. kLimit: question or result is too large, or the worker used up its memory.
  // kUnavailable: the worker ended, or was restarted too often.
  Result<Replayed> evaluate(const RecordedQuestion& question, int64_t deadline_ms);

  // Whether the result may depend on values at these paths below input, whatever they are; an empty
  // path is all of it. false is certain. The errors of evaluate().
  Result<bool> depends(const RecordedQuestion& question,
                       const std::vector<std::vector<std::string>>& hidden, int64_t deadline_ms);

  // The version of OPA that evaluates: "1.22.2".
  const std::string& opa_version() const { return options_.opa_version; }
  size_t restarts() const { return restarts_; }

 private:
  explicit Replayer(ReplayOptions options);
  Result<void> start_worker();
  Result<void> load();
  Result<void> stage(const Snapshot& target, const std::vector<ContentNeed>& needs);
  // The answer's payload. An error has ended the worker.
  Result<Bytes> ask(uint32_t id, OutgoingFrame frame, int64_t wall_ms);
  using Paths = std::vector<std::vector<std::string>>;
  Result<Replayed> answer(const RecordedQuestion& question, const Paths& hidden,
                          int64_t deadline_ms);
  Result<Replayed> answer_once(const RecordedQuestion& question, const Paths& hidden,
                               int64_t deadline_ms);

  const ReplayOptions options_;
  SnapshotPtr snapshot_;  // that is asked for
  size_t restarts_ = 0;
  // --- of the worker
  std::unique_ptr<CheckerProcess> process_;  // null: it has to be started
  SnapshotPtr held_;                         // that it decides with; null: none
  uint64_t number_ = 0;                      // of held_; 0: none
  std::map<Hash, uint64_t> module_bytes_;    // of the modules that it holds
  uint64_t budget_bytes_ = 0;
  bool was_killed_ = false;  // the last one was ended by something else than its question
};

}  // namespace notp::rego
