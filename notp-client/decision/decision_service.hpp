// The single path from a question to a decision, for every route.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <chrono>

#include "common/limits.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp::decision {

// The configuration of decisions.
struct DecisionRules {
  std::vector<std::string> default_path;  // for a question without a path: segments below data
  std::vector<std::string> authzen_path;  // for AuthZEN evaluations, likewise
  size_t input_bytes_max = limits::kInputBytesMax;  // for one input
};

// The route by which a question came.
enum class DecisionApi : uint8_t {
  kData,       // OPA's POST and GET /v1/data
  kPlainData,  // OPA's POST /v0/data
  kDefault,    // OPA's POST /
  kAuthzen,
  kHealth,  // a rule of the policy about the agent's health
};

struct DecisionRequest {
  DecisionApi api = DecisionApi::kData;
  pdp::Question question;
};

// The result of a request.
struct DecisionOutcome {
  // A UUID, for the answer of the data API and for the log; empty if neither includes it.
  std::string id;
  pdp::Decisions decisions;  // one for each input, each with the set that decided

  // For a request with one input.
  Result<pdp::Decision> only() &&;
};

// Thread-safe, and takes no lock. The PDP outlives it.
//
// decide() applies the rules common to all decisions: the size limit of an input, withheld roots,
// and metrics and logs. The PDP itself refuses a quarantined path, because only the PDP knows the
// cost of a path; the refusal is counted here with the other errors.
class DecisionService {
 public:
  // `logs_decisions`: one line for each, at debug level.
  DecisionService(pdp::Pdp& pdp, prometheus::Registry& metrics, bool logs_decisions = false);

  // Applies to new requests.
  void set_rules(DecisionRules rules);
  std::shared_ptr<const DecisionRules> rules() const { return rules_.get(); }

  // Returns one decision for each input, all by one ActiveSet; undefined, at once, for a path at,
  // below or above a withheld root. Errors of Pdp::evaluate(); kLimit for an input that is too
  // large. The input's text is neither copied nor parsed here.
  boost::asio::awaitable<DecisionOutcome> decide(DecisionRequest request);

 private:
  using Clock = std::chrono::steady_clock;

  // Returns the decisions that need no PDP; nullopt: the PDP has to answer.
  std::optional<pdp::Decisions> decide_here(const pdp::Question& question) const;
  // Counts and logs a request. Every request ends here. `asked`: when it arrived.
  void conclude(const DecisionRequest& request, const DecisionOutcome& outcome,
                Clock::time_point asked) const;
  void log_decisions(const DecisionRequest& request, const DecisionOutcome& outcome,
                     Clock::duration taken) const;

  pdp::Pdp& pdp_;
  const bool logs_decisions_;
  AtomicShared<DecisionRules> rules_{std::make_shared<const DecisionRules>()};
  prometheus::Counter* defined_;
  prometheus::Counter* undefined_;
  prometheus::Counter* failed_;
};

}  // namespace notp::decision
