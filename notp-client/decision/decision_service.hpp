// The single path from a question to a decision, for every route.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "common/limits.hpp"
#include "notp-client/decision/decision_recorder.hpp"
#include "notp-client/decision/token_ask.hpp"
#include "notp-client/decision/txn_watch.hpp"

namespace notp::decision {

// The configuration of decisions.
struct DecisionRules {
  std::vector<std::string> default_path;  // for a question without a path: segments below data
  std::vector<std::string> authzen_path;  // for AuthZEN evaluations, likewise
  size_t input_bytes_max = limits::kInputBytesMax;  // for one input
};

// Thread-safe, and takes no lock. PDP and recorder outlive it.
//
// decide() applies the rules common to all decisions: the size limit of an input, withheld roots,
// metrics and logs, and the record: a decision that has to be recorded and cannot be is not given.
// The PDP itself refuses a quarantined path, because only the PDP knows the cost of a path; the
// refusal is counted here with the other errors.
class DecisionService {
 public:
  // `logs_decisions`: one line for each, at debug level. `recorder`: null: nothing is recorded.
  DecisionService(pdp::Pdp& pdp, prometheus::Registry& metrics, bool logs_decisions = false,
                  DecisionRecorder* recorder = nullptr);

  // Before a PDP is asked, tokens of the question are. Before the first request.
  void set_token_ask(TokenAsk ask) { token_ask_.emplace(std::move(ask)); }

  // Transaction tokens of questions are counted and recorded. Before the first request.
  void set_txn_watch(TxnWatch watch) { txn_watch_.emplace(std::move(watch)); }

  // Applies to new requests.
  void set_rules(DecisionRules rules);
  std::shared_ptr<const DecisionRules> rules() const { return rules_.get(); }

  // Returns one decision for each input, all by one ActiveSet; undefined, at once, for a path at,
  // below or above a withheld root. Errors of Pdp::evaluate(); kLimit for an input that is too
  // large; kAuditUnavailable for all of them if one cannot be recorded. With a strict path it waits
  // for the disk; Asio's cancellation ends the wait. The input's text is not copied, and read only
  // for its record.
  boost::asio::awaitable<DecisionOutcome> decide(DecisionRequest request);

 private:
  // Returns the decisions that need no PDP; nullopt: the PDP has to answer.
  std::optional<pdp::Decisions> decide_here(const pdp::Question& question) const;
  // Records what was decided; it becomes an error if that is not possible. Returns the position to
  // wait for; nullopt: none.
  std::optional<record::Position> record(const DecisionRequest& request, DecisionOutcome& outcome);
  boost::asio::awaitable<pdp::Decisions> ask_pdp(DecisionRequest& request);
  // Counts and logs a request. Every request ends here.
  void conclude(const DecisionRequest& request, const DecisionOutcome& outcome) const;
  void log_decisions(const DecisionRequest& request, const DecisionOutcome& outcome,
                     SteadyClock::duration taken) const;

  pdp::Pdp& pdp_;
  const bool logs_decisions_;
  DecisionRecorder* const recorder_;
  std::optional<TokenAsk> token_ask_;
  std::optional<TxnWatch> txn_watch_;
  AtomicShared<DecisionRules> rules_{std::make_shared<const DecisionRules>()};
  prometheus::Counter* defined_;
  prometheus::Counter* undefined_;
  prometheus::Counter* failed_;
};

}  // namespace notp::decision
