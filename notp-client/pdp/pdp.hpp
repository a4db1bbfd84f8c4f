// The interface of every policy decision point to the agent.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/rego/check.hpp"
#include "common/rego/host/question.hpp"
#include "notp-client/pdp/data_path.hpp"
#include "notp-client/pdp/decision_basis.hpp"

namespace notp::pdp {

using rego::ExplainMode;
using rego::InputForm;
using rego::InputText;

struct Question {
  std::vector<std::string> path;  // segments below data; empty: all of data
  std::vector<InputText> inputs;
  std::string caller;                  // callers take turns; empty: unnamed
  uint32_t flags = 0;                  // rego::EvaluationFlag
  InputForm form = InputForm::kValue;  // of all inputs
  ExplainMode explain = ExplainMode::kOff;
  std::string log_event = {};         // as in rego::Question; of the embedded PDP
  std::vector<Bytes> presented = {};  // the same
};

// One answer.
struct Decision {
  std::optional<Bytes> value;  // JSON; nullopt: undefined
  ActiveSetPtr active;         // the set that decided; null: unknown
  Bytes extras;                // as in rego::Evaluation; empty: none
  int64_t time_ns = 0;         // the clock that the policy saw; 0: unknown
  uint64_t evaluation_ns = 0;  // for all inputs of the question; 0: unknown
  bool has_input = false;      // false: `input` was undefined
  bool rule_exists = false;    // at the path or above it: undefined, but not missing
  std::string id = {};         // by which an OPA has logged it; empty: the decision has none yet
};

// One decision for each input of a question.
using Decisions = Result<std::vector<Result<Decision>>>;

// A path that is refused for a while because of the work or memory it took, or is free again.
struct PdpQuarantine {
  std::string ledger;  // "zone/name"; empty: none
  std::string path;    // "a/b/c"
  std::string reason;  // for a person
  bool ended = false;
};

// A PDP's own report about one set.
struct PdpOutcome {
  ActiveSetPtr active_set;
  std::optional<Error> rejected;  // empty: it now decides with this set
};
using PdpReport = std::function<void(PdpOutcome)>;
using PdpQuarantineReport = std::function<void(PdpQuarantine)>;

// Host-side interface; one thread (the agent's executor) unless an implementation states otherwise.
class Pdp {
 public:
  virtual ~Pdp() = default;
  // "embedded", "opa", "folder": for logs and the fleet.
  virtual std::string_view kind() const = 0;
  // Called once before the first activate. `report` is invoked on the agent's executor, never from
  // within activate(), any number of times: an OPA that restarts confirms again.
  virtual void start(PdpReport report) = 0;
  // Replaces what the PDP should decide with. Returns at once; the outcome comes through the
  // report. A newer call supersedes an older one that has no outcome yet.
  virtual void activate(ActiveSetPtr wanted, model::BlobLoader load) = 0;
  // The current basis of decisions: from any thread, without a lock.
  virtual DecisionBasisPtr basis() const = 0;
  // OPA's POST /v1/data/<path>, once for each input, all by one ActiveSet. May be called from any
  // executor. Withholds nothing: only DecisionService may call it. kUnavailable before the first
  // activation; kQuarantined, kOverloaded. Each input has its own errors: kMessage with OPA's
  // message for a malformed input, kInvalidModel for a policy that failed
  // (rego::evaluation_errors() has OPA's `errors`), and as in question.hpp; of the embedded PDP,
  // rego::evaluation_extras() has what the decision log needs of a failure. Asio's cancellation
  // stops the evaluation and ends the call with kCancelled.
  virtual boost::asio::awaitable<Decisions> evaluate(Question question) = 0;
};

}  // namespace notp::pdp
