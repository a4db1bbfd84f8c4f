// Brings events of OPA into the node's log: each once, masked again, with what decided it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "notp-client/opa_log/counts.hpp"
#include "notp-client/opa_log/log_file.hpp"
#include "notp-client/opa_log/opa_event.hpp"
#include "notp-client/opa_log/revisions.hpp"
#include "notp-client/spool/decision_log.hpp"
#include "protocol/record/log_id.hpp"

namespace notp::opa_log {

// Ids in memory that are not in the file yet: at most so many, or so old.
inline constexpr size_t kUnsavedKeysMax = 4'096;
inline constexpr int64_t kSaveMs = 1'000;
// After a start events wait so long for the first model, which says what is masked.
inline constexpr int64_t kModelWaitMs = 60'000;

// How long pause() waits for records that are not durable yet.
inline constexpr int64_t kPauseMs = 2'000;

struct IntakeParts {
  std::filesystem::path folder;  // of the spool
  spool::DecisionLog& log;
  record::LogId log_id;
  // Calls `each` with every record of the log from `from` on, in order: what the ids file may not
  // know yet, because the agent was killed. Called once, by open().
  std::function<Result<void>(record::Position from,
                             const std::function<void(const record::Record&)>& each)>
      read_log;
  const Revisions& revisions;
};

// Since the start of the process.
struct IntakeStatus {
  uint64_t recorded = 0, dropped = 0, duplicates = 0;
  uint64_t damaged = 0;  // lines and elements that are not events
  uint64_t unknown = 0;  // recorded without a known set
  uint64_t missing = 0;  // in gap records
  std::string trouble;   // for a person; empty: none
};

// Thread-safe. Calls block for writes into the log, and once a second for an fsync.
class Intake {
 public:
  // Reads the ids file and the end of the log. kIo.
  static Result<std::unique_ptr<Intake>> open(IntakeParts parts);
  // Saves what is durable.
  ~Intake();

  // Records the events that the log does not have. kAuditUnavailable: some of them were not taken,
  // or no model is known yet; give all of them again later. Otherwise `done` is called once all of
  // them are durable, or cannot be (kAuditUnavailable: give all of them again), possibly within the
  // call.
  Result<void> accept(std::vector<OpaEvent> events, std::function<void(Result<void>)> done);

  // Before another log follows this one: refuses events, which come again, and saves what is known
  // once it is durable, so that nothing is recorded in both. Blocks.
  void pause();
  // Takes events again: into this log, whose positions begin anew if it is another one.
  void resume(const record::LogId& log);

  void damaged(size_t count, std::string_view what);
  // OPA's file is recorded and durable up to here.
  void set_file_position(const FilePosition& position);
  FilePosition file_position() const;

  // OPA at the polled address, and what it answered.
  void polled(const std::string& instance, uint64_t answered);
  // Writes a gap record for each OPA that logged less than it answered. Call it every second or so.
  void settle();

  IntakeStatus status() const;
  // By instance.
  std::map<std::string, SourceCounts::Instance> sources() const;

 private:
  struct State;
  explicit Intake(std::shared_ptr<State> state);
  const std::shared_ptr<State> state_;
};

}  // namespace notp::opa_log
