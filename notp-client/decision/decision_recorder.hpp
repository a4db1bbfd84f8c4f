// Writes the record of each decision into the node's log.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <utility>

#include "common/random.hpp"
#include "notp-client/decision/decision_request.hpp"
#include "notp-client/decision/recorded_sets.hpp"
#include "notp-client/spool/decision_log.hpp"

namespace notp::decision {

struct RecorderOptions {
  spool::Durability durability = spool::Durability::kBatched;  // unless terms ask for strict
  bool has_nd_cache = true;  // record the results of non-deterministic built-ins: needed for replay
  // Of the node: data.system.log.mask and drop see them.
  std::vector<std::pair<std::string, std::string>> labels;
  std::string engine;                            // "embedded", "opa": Pdp::kind()
  std::function<std::string()> engine_version;   // from any thread; may be empty
  std::shared_ptr<const MaskRules> tokens = {};  // as in RecordedSets
  std::function<Now()> clock = read_clock;
};

// What became of a request's records.
struct RecordedDecision {
  std::string id;  // of the first record; a random UUID if there is none
  // The answer waits until the record at this position is durable; nullopt: it does not wait.
  std::optional<record::Position> awaited;
};

// Thread-safe. A record holds nothing that a mask takes out: it is masked before the log sees it.
//
// When masking fails, or cannot be complete, input and result stay out of the record, which has
// their hashes, and notp_agent_mask_failures_total counts it. They stay out, uncounted, as well
// when the caller sent no JSON, and before a model is active, since what it masks is unknown.
class DecisionRecorder {
 public:
  // `log` outlives it.
  DecisionRecorder(spool::DecisionLog& log, RecorderOptions options, prometheus::Registry& metrics);

  // Asks the embedded engine for what a record needs besides the answer.
  void prepare(DecisionRequest& request) const;

  // Records a request's decisions, or counts those that are dropped. `basis`: the set to name for a
  // decision that has none, because it failed. kAuditUnavailable: they must not be given.
  Result<RecordedDecision> record(const DecisionRequest& request, const pdp::Decisions& decisions,
                                  const pdp::ActiveSetPtr& basis);

  spool::DecisionLog& log() { return log_; }

 private:
  // What is recorded of one input.
  struct Subject;
  struct AppliedRules;

  Result<std::optional<spool::Written>> record_one(const Subject& subject,
                                                   std::string_view batch_id, bool& is_strict);
  record::DecisionContent content_of(const Subject& subject, const RecordedLedger* owner);
  void add_payload(const Subject& subject, record::DecisionContent& content);
  // What the agent found in the input, as far as the masks leave it; last.
  static void add_txn_tokens(const Subject& subject, record::DecisionContent& content);
  static Result<void> find_rules(const Subject& subject, AppliedRules& applied);
  Result<void> add_masked(const Subject& subject, std::optional<ByteView> input,
                          record::DecisionContent& content);
  void withhold(const Subject& subject, const Error& why, std::optional<ByteView> input,
                record::DecisionContent& content);
  void count_failure(const Subject& subject, const Error& why);
  void report_unmatched();

  spool::DecisionLog& log_;
  const RecorderOptions options_;
  const Bytes event_start_;  // of Question::log_event: the labels
  RecordedSets sets_;
  SystemRandom random_;
  prometheus::Counter& failures_;
  prometheus::Gauge& unmatched_;
  std::atomic<TimeMs> failure_logged_ms_ = 0;
  std::atomic<uint64_t> failures_since_ = 0;
  std::atomic<TimeMs> unmatched_due_ms_;
};

}  // namespace notp::decision
