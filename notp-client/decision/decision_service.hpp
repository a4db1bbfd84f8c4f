// The one way from a question to a decision, whichever route it came by.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <chrono>

#include "common/limits.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp {

// What the configuration says about decisions.
struct DecisionRules {
  std::vector<std::string> default_path;  // of a question that names none: segments below data
  std::vector<std::string> authzen_path;  // of AuthZEN's evaluations, likewise
  size_t input_bytes_max = limits::kInputBytesMax;  // of one input
};

// By which route a question came.
enum class DecisionApi : uint8_t {
  kData,       // OPA's POST and GET /v1/data
  kPlainData,  // OPA's POST /v0/data
  kDefault,    // OPA's POST /
  kAuthzen,
  kHealth,  // a rule of the policy about the agent's health
};

struct DecisionRequest {
  DecisionApi api = DecisionApi::kData;
  Question question;
};

// What became of a request.
struct DecisionOutcome {
  // A UUID, for the answer of the data API and for the log; empty where neither has it.
  std::string id;
  Decisions decisions;  // one for each input, each with the set that decided

  // Of a request with one input.
  Result<Decision> only() &&;
};

// Thread-safe, and takes no lock. The PDP outlives it.
//
// decide() does all that holds for every decision: the limit of an input, roots that are withheld,
// and what is counted and logged afterwards. A path in quarantine is the PDP's to refuse, since it
// alone knows what a path has cost; the refusal is counted here with the other errors.
class DecisionService {
 public:
  // `logs_decisions`: one line each, at debug.
  DecisionService(Pdp& pdp, prometheus::Registry& metrics, bool logs_decisions = false);

  // For requests that come from now on.
  void set_rules(DecisionRules rules);
  std::shared_ptr<const DecisionRules> rules() const { return rules_.get(); }

  // One decision for each input, all by one ActiveSet; at once, and undefined, for a path at, below
  // or above a withheld root. Errors of Pdp::evaluate(); kLimit for an input that is too large. The
  // input's text is neither copied nor parsed here.
  boost::asio::awaitable<DecisionOutcome> decide(DecisionRequest request);

 private:
  using Clock = std::chrono::steady_clock;

  // What needs no PDP; nothing for a question that one has to answer.
  std::optional<Decisions> decide_here(const Question& question) const;
  // Every request ends here, with all that there is to say of it. `asked`: when it came.
  void conclude(const DecisionRequest& request, const DecisionOutcome& outcome,
                Clock::time_point asked) const;
  void log_decisions(const DecisionRequest& request, const DecisionOutcome& outcome,
                     Clock::duration taken) const;

  Pdp& pdp_;
  const bool logs_decisions_;
  AtomicShared<DecisionRules> rules_{std::make_shared<const DecisionRules>()};
  prometheus::Counter* defined_;
  prometheus::Counter* undefined_;
  prometheus::Counter* failed_;
};

}  // namespace notp
