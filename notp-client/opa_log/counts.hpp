// Compares what OPA says it answered with what it logged: the pace is not OPA's to prove.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"

namespace notp::opa_log {

// How long after a poll its decisions may still be on their way: OPA writes its file before it
// answers, and the file is read twice a second; uploads come about a second later.
inline constexpr int64_t kCountSettleMs = 5'000;
// Processes whose counts are kept; beyond it one that was never polled is forgotten.
inline constexpr size_t kCountedInstancesMax = 64;

// Returns the answers that OPA's GET /metrics (Prometheus text) counts for the handlers that decide
// and log: POST and GET of v1/data and v1/query, POST of v0/data and of "/". Requests that OPA
// refuses before it decides (400) are not logged, and are left out; v1/compile decides and logs
// only for some paths, and its counter does not tell them apart: such events are not counted
// either. nullopt: not OPA's metrics.
std::optional<uint64_t> answered_decisions(std::string_view metrics);

// One thread, no I/O. Times are boot times.
class SourceCounts {
 public:
  struct Missing {
    std::string instance;
    uint64_t count = 0;
    bool has_ended = false;  // the process is gone: to the last poll
  };
  struct Instance {
    uint64_t recorded = 0;             // events that reached the log, each once
    uint64_t reported = 0;             // in gap records
    std::optional<uint64_t> answered;  // at the last poll; nullopt: never polled
    bool operator==(const Instance&) const = default;
  };

  // What an earlier run of the agent knew.
  void restore(const std::string& instance, Instance state);
  // Events, counted ones alone, that the log has of an unknown instance: the agent was killed
  // before it noted whose they are. They fill what would be missing.
  void restore_unattributed(uint64_t events) { unattributed_ += events; }
  // A gap record that the log has.
  void restore_reported(const std::string& instance, uint64_t events) {
    if (const auto found = instances_.find(instance); found != instances_.end())
      found->second.reported += events;
  }

  void recorded(const std::string& instance, uint64_t events);
  // Events are late: the log took none, or those that arrive are older than kCountSettleMs.
  void delayed(TimeMs now_ms) { delayed_ms_ = now_ms; }
  // OPA at the polled address is the process `instance` and has answered so many decisions. Any
  // other process that was there before has ended.
  void polled(const std::string& instance, uint64_t answered, TimeMs now_ms);

  // Returns what is missing for good. Call it with time. Under load that never pauses, events that
  // came after a poll hide what was lost before it, until there is a pause or the process ends.
  std::vector<Missing> settle(TimeMs now_ms);

  const std::map<std::string, Instance>& instances() const { return instances_; }
  // Those that no instance has used up: an agent that is killed again must still know of them.
  uint64_t unattributed() const { return unattributed_; }

 private:
  struct Poll {
    uint64_t answered = 0;
    TimeMs at_ms = 0;
    bool is_last = false;
  };

  std::map<std::string, Instance> instances_;
  std::map<std::string, Poll> open_;  // the poll that settles next
  uint64_t unattributed_ = 0;
  TimeMs delayed_ms_ = -kCountSettleMs;
};

}  // namespace notp::opa_log
