// Deletes records by rule, when the manifest of the release that decided says how long they are
// kept, and compresses the files of closed days again.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <thread>

#include "common/mutex.hpp"
#include "notp-server/audit/audit_limits.hpp"
#include "notp-server/audit/removals.hpp"
#include "notp-server/audit/retention_terms.hpp"

namespace notp::audit {

struct RetentionOptions {
  std::function<Now()> clock = read_clock;
  uint32_t days_min = 0;  // records are kept for at least so long, whatever their release says
  // Whether the registry has other work: then what can wait does.
  std::function<bool()> is_busy = [] { return false; };
  bool recompresses = true;
  int64_t run_ms = limits::kRetentionRunMs;
  size_t batch_segments_max = limits::kDeleteBatchSegmentsMax;
};

// What a run has done.
struct DeletedByRule {
  uint64_t records = 0, segments = 0;
  uint64_t held = 0;  // due, and covered by a hold
};

// Decisions alone are deleted, when the registry has had them for longer than `retain_days.max` of
// the release that decided, and never those that a hold covers. What a node says of itself, and
// decisions whose release or its terms are not known, stay for ever. One thread.
class Retention {
 public:
  // `removals` outlives it. run() ends early when `is_stopping` is set.
  Retention(Removals& removals, FindTerms find_terms, RetentionOptions options,
            const std::atomic<bool>& is_stopping);

  // Looks at all days that may have something that is due. kIo; kCancelled: the registry stops.
  Result<DeletedByRule> run();

 private:
  class Batch;
  Result<void> run_day(uint32_t day, DeletedByRule& total);

  Removals& removals_;
  const FindTerms find_terms_;
  const RetentionOptions options_;
  const std::atomic<bool>& is_stopping_;
  std::map<uint32_t, TimeMs> due_ms_;  // of days: nothing is due before
};

// Retention and recompression, on a thread that other work goes before: at the start, and then once
// an hour.
class RetentionThread {
 public:
  // `removals` outlives it.
  RetentionThread(Removals& removals, FindTerms find_terms, RetentionOptions options);
  ~RetentionThread();
  RetentionThread(const RetentionThread&) = delete;
  RetentionThread& operator=(const RetentionThread&) = delete;

  void start();
  // Ends with the segment that is looked at, or with the file that is written. Blocking; a second
  // call does nothing.
  void stop();

 private:
  void run();
  void run_once();
  // False: the thread is to end.
  bool wait_ms(int64_t time_ms);

  Removals& removals_;
  const RetentionOptions options_;
  std::atomic<bool> is_stopping_ = false;
  Retention retention_;
  Mutex mutex_;
  ConditionVariable wake_;
  std::thread thread_;
};

}  // namespace notp::audit
