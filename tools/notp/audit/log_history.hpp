// The runs of a log, and what its node itself says is missing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/notp/audit/log_verifier.hpp"

namespace notp::cli {

struct RunInfo {
  uint32_t run = 0;
  record::Position first = 0;  // of its RUN_START
  int64_t start_ns = 0;
  std::string program;
  bool ended = false;  // it has a RUN_END
};

struct DroppedFound {
  record::Position position = 0;
  int64_t time_ns = 0;
  record::Dropped dropped;
};

// Records of one log, of the kinds RUN_START, RUN_END, GAP and DROPPED, in any order; others are
// skipped. Pure.
class LogHistory {
 public:
  explicit LogHistory(std::vector<AuditRecord> records);

  const std::vector<RunInfo>& runs() const { return runs_; }  // ascending
  const std::vector<GapFound>& gaps() const { return gaps_; }
  const std::vector<DroppedFound>& dropped() const { return dropped_; }
  // Runs that another one followed and that did not end in order: the agent was killed, or the
  // machine failed. Nothing need be missing; a gap says so if it is.
  std::vector<RunInfo> broken() const;
  // The run of a record; 0: none is known.
  uint32_t run_at(record::Position position) const;
  // The gap at which the run ended, at or before `position`; nullptr: no gap tells so.
  const GapFound* end_of(uint32_t run, record::Position position) const;

 private:
  std::vector<RunInfo> runs_;
  std::vector<GapFound> gaps_;
  std::vector<DroppedFound> dropped_;
};

// Of the nodes that are asked about at once: each is held in memory.
inline constexpr size_t kHistoryRecordsMax = 1'000'000;

// The kinds that a history is made of.
inline constexpr record::Kind kHistoryKinds[] = {record::Kind::kRunStart, record::Kind::kRunEnd,
                                                 record::Kind::kGap, record::Kind::kDropped};

}  // namespace notp::cli
