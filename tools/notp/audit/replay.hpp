// Replays recorded decisions: each is evaluated again with the releases that decided and with all
// that the first evaluation saw; or with a candidate in the place of one of these releases.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/rego/host/replayer.hpp"
#include "protocol/record/replay_verdict.hpp"
#include "tools/notp/audit/audit_record.hpp"
#include "tools/notp/audit/replay_snapshot.hpp"

namespace notp::cli {

// One evaluation, wall time: above what a node grants it, since this machine may be slower.
inline constexpr int64_t kReplayEvaluationMs = 30'000;
// Decisions that a report names, and their bytes in all.
inline constexpr size_t kReplayListedMax = 200;
inline constexpr size_t kReplayListedBytesMax = 32 << 20;

// A recorded decision beside its replay.
struct ReplayedDecision {
  AuditRecord record;
  record::ReplayVerdict verdict;
  std::optional<Bytes> result;  // of the replay, JSON; nullopt: undefined, failed, or no replay
  std::string error;            // of a policy that failed in the replay
  std::vector<std::string> unrecorded;  // built-ins whose results the replay needed
};

// Evaluates recorded decisions with one worker. Blocking; one thread, which started it.
class DecisionReplay {
 public:
  struct Options {
    std::string worker;                         // path of notp-pdp; empty: beside this executable
    const CandidateModel* candidate = nullptr;  // outlives it
    int64_t evaluation_ms = kReplayEvaluationMs;
  };
  // `archive` outlives it.
  DecisionReplay(ReleaseArchive& archive, Options options)
      : options_(std::move(options)), releases_(archive) {}

  // What hinders one decision is in its verdict. Errors hinder all of them: those of the archive;
  // kUnavailable: no worker starts, or too many ended; kInvalidModel: the candidate does not
  // compile beside the recorded releases.
  Result<ReplayedDecision> replay(AuditRecord record);

 private:
  Result<std::optional<record::ReplayVerdict>> load(const AuditRecord& record);
  Result<std::optional<record::ReplayVerdict>> start(rego::SnapshotPtr snapshot);
  bool is_independent(const record::DecisionContent& decision,
                      const rego::RecordedQuestion& question);

  const Options options_;
  RecordedReleases releases_;
  std::unique_ptr<rego::Replayer> replayer_;
  // What it holds, or why it cannot.
  std::shared_ptr<const record::ActiveSet> loaded_;
  std::optional<record::ReplayVerdict> obstacle_;
};

// A change of one outcome to another; equal ones are other results.
struct OutcomeChange {
  std::string path;
  record::Outcome from = record::Outcome::kNone, to = record::Outcome::kNone;
  auto operator<=>(const OutcomeChange&) const = default;
};

struct ReplayReport {
  uint64_t same = 0, differs = 0, cannot = 0;
  std::array<uint64_t, record::kReplayObstacles> obstacles{};  // of `cannot`
  std::map<std::string, uint64_t> unrecorded;  // decisions by the built-in that was not recorded
  std::map<OutcomeChange, uint64_t> changes;   // of `differs`
  std::vector<ReplayedDecision> listed;        // the first that differ, else that cannot; bounded
  bool more = false;                           // more decisions may match than were replayed
  uint64_t total() const { return same + differs + cannot; }
};

// Reads decisions that match, the newest first, at most `decisions_max`, and replays them. `moved`
// is called with how many were replayed; may be empty. kMessage: an answer of the registry is
// malformed; the errors of the port and of DecisionReplay.
Result<ReplayReport> replay_decisions(AuditPort& port, wire::DecisionFilter filter,
                                      uint64_t decisions_max, DecisionReplay& replay,
                                      const std::function<void(uint64_t)>& moved = {});

// Replays the decisions with these ids; `listed` has all of them. kNotFound for an id that no
// decision has.
Result<ReplayReport> replay_ids(AuditPort& port, const std::vector<std::string>& ids,
                                DecisionReplay& replay);

}  // namespace notp::cli
