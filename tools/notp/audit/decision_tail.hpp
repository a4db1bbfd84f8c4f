// Follows the decisions that arrive at a registry.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "tools/notp/audit/audit_record.hpp"

namespace notp::cli {

// Of records that arrive late: how old one may be and still be shown.
inline constexpr TimeMs kTailWindowMs = 10LL * 60 * 1000;
// Decisions of one poll; of more the oldest are left out, and said to be.
inline constexpr size_t kTailRowsMax = 10'000;

// Reads pages through a port; one thread. A position of a log is returned once at most, whatever
// order the registry answers in, and however often it is asked.
class DecisionTail {
 public:
  explicit DecisionTail(wire::DecisionFilter filter) : filter_(std::move(filter)) {}

  // The newest `count` decisions, oldest first. What arrives from now on is for poll().
  Result<std::vector<AuditRecord>> start(AuditPort& port, size_t count);

  struct NewDecisions {
    std::vector<AuditRecord> records;  // oldest first
    bool left_out = false;             // there were more than kTailRowsMax
  };
  // The decisions that have arrived since the call before. On an error nothing is forgotten: the
  // next call returns them.
  Result<NewDecisions> poll(AuditPort& port, TimeMs now_ms);

 private:
  wire::DecisionFilter filter_;
  std::map<record::LogId, record::Position> next_;  // of each log: what is below was returned
};

}  // namespace notp::cli
