// The embedded engine: two supervised workers behind one queue.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <string>

#include "common/limits.hpp"
#include "common/rego/host/question.hpp"
#include "common/rego/snapshot.hpp"
#include "common/rego/token_update.hpp"

namespace notp::rego {

struct EngineOptions {
  std::string worker;                           // path of notp-pdp; empty: beside this executable
  std::string opa_version;                      // that it must link; empty: the one this build pins
  int64_t deadline_ms = limits::kEvaluationMs;  // soft, of one evaluation
  int64_t grace_ms = 250;                       // from then to the kill
  uint64_t memory_bytes = 256ULL << 20;         // of a worker, beside 20 times the data's bytes
  size_t input_bytes_max = limits::kInputBytesMax;  // that fit the workers' memory
  size_t waiting_max = limits::kWaitingMax;         // questions; half of it for one ledger
  size_t result_bytes_max = 64 << 20;
  bool has_network = false;  // for ledgers that allow http.send
};

// All methods are thread-safe and return at once; callbacks run on `executor` and must not block.
class Engine {
 public:
  // `executor` reads the workers' answers, from any of its threads; `pool` loads content. Both
  // outlive this object.
  Engine(boost::asio::any_io_executor executor, boost::asio::thread_pool& pool,
         EngineOptions options, std::function<void(QuarantineNotice)> on_quarantine = {});
  // Ends the workers. Pending callbacks are called with kCancelled before it returns.
  ~Engine();
  // The same, before destruction: `pool` is not used any more afterwards. Later questions and
  // snapshots get kCancelled.
  void stop();

  // Evaluates with the active snapshot. The ticket is for cancel().
  uint64_t evaluate(Question question, DecisionDone done);
  // For a caller that has gone: stops its evaluation and calls `done` with kCancelled.
  void cancel(uint64_t ticket);

  // Replaces the snapshot. `done` reports that a worker serves it, or why it was refused:
  // kPdpRejected with findings, the loader's codes, kUnavailable. A newer call supersedes an older
  // pending one, which gets kCancelled. A snapshot that differs only in `system` compiles nothing.
  void activate(SnapshotPtr snapshot, std::function<void(Result<void>)> done);
  SnapshotPtr active() const;

  // Replaces the shards of the token lane's table that `update` names, and its readout, for all
  // decisions that are asked once `done` is called; a decision sees one state of it. Workers that
  // start later have it before their first question. `done`: kCancelled at the end, else no error.
  void feed_tokens(TokenUpdate update, std::function<void(Result<void>)> done);

  // Starts workers from this program from now on (empty: from the same path, whose file was
  // replaced), and hands over to one without a failed decision. `done`: no worker of the old
  // program is left, or why the new one does not start; the old one stays in use then.
  void replace_worker(std::string program, std::function<void(Result<void>)> done);

  EngineStatus status() const;

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp::rego
