// Validates models in separate processes: a test, a rule or data that takes all time or memory
// becomes a finding, without other effects.
#pragma once

#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "common/limits.hpp"
#include "common/mutex.hpp"
#include "common/rego/check.hpp"
#include "common/rego/host/check_memory.hpp"

namespace notp::rego {

class CheckerProcess;

struct CheckerOptions {
  std::string worker;                    // path of notp-pdp; empty: beside this executable
  std::string opa_version;               // that it must link; empty: the one this build pins
  uint64_t memory_bytes = 256ULL << 20;  // of a process, beside 20 times the data's bytes
  // Processor time of one test, of all of them, and of everything.
  int64_t test_ms = limits::kModelTestMs;
  int64_t tests_ms = limits::kModelTestsMs;
  int64_t all_ms = limits::kCheckMs;
  // Wall time of one call, and the maximum time of a process without progress.
  int64_t wall_ms = limits::kCheckWallMs;
  int64_t still_ms = limits::kCheckStillMs;
};

// One process validates one model at a time. A process that is small at its end is kept for the
// next model, kWarmCheckersMax of them for kWarmCheckerMs; it knows its documents, and a large one
// that has changed a little is sent as its changes. A process that takes too much is killed, and
// its activity becomes the finding: a test by name, because the worker reports the running test.
// When several ran, the model is validated again with one at a time. Time is processor time of the
// process: what a busy machine cannot do within wall_ms is kUnavailable, never a finding.
class ProcessChecker final : public ModelChecker {
 public:
  explicit ProcessChecker(CheckerOptions options);
  ~ProcessChecker() override;
  ProcessChecker(const ProcessChecker&) = delete;
  ProcessChecker& operator=(const ProcessChecker&) = delete;

  Result<CheckReport> check(const CheckRequest& request) override;
  Result<std::vector<Bytes>> undefined_functions(const std::vector<CheckModule>& callers,
                                                 const std::vector<CheckModule>& missing,
                                                 const ContentLoader& load) override;

 private:
  using ProcessPtr = std::unique_ptr<CheckerProcess>;
  struct Warm {
    ProcessPtr process;
    int64_t until_ms = 0;
  };
  class Judgement;

  Result<ProcessPtr> acquire(const std::set<Hash>& contents);
  void release(ProcessPtr process, const std::set<Hash>& contents);
  Result<ProcessPtr> start();
  void keep();  // the keeper's thread

  const CheckerOptions options_;
  CheckMemory memory_;

  Mutex mutex_;
  ConditionVariable changed_;
  std::vector<Warm> warm_ NOTP_GUARDED_BY(mutex_);
  std::vector<std::promise<Result<ProcessPtr>>*> starts_ NOTP_GUARDED_BY(mutex_);
  bool is_ending_ NOTP_GUARDED_BY(mutex_) = false;
  // Starts processes, because a worker ends with its starting thread, and ends warm ones.
  std::thread keeper_;
};

}  // namespace notp::rego
