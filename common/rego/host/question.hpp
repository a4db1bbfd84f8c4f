// Questions to the engine, and its answers.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/rego/snapshot.hpp"

namespace notp::rego {

// How an input's text is read: like the server of the worker's OPA, including its messages.
enum class InputForm : uint8_t {
  kValue = 0,          // the JSON of the input, as in `GET /v1/data/…?input=`
  kBody = 1,           // body of `POST /v1/data/…`: an object with `input`, which may be missing
  kBodyYaml = 2,       // the same in YAML
  kPlainBody = 3,      // body of `POST /v0/data/…` and `POST /`: the input itself; empty: null
  kPlainBodyYaml = 4,  // the same in YAML
};

// The content of `extras`' explanation. In every mode but kFull an undefined value has no
// explanation.
enum class ExplainMode : uint8_t { kOff = 0, kNotes = 1, kFails = 2, kFull = 3, kDebug = 4 };

// The text of an input; without one `input` is undefined. Immutable, and a copy shares the bytes:
// the frame to the worker and later uses of the decision share the bytes of the request.
class InputText {
 public:
  InputText() = default;  // none
  InputText(std::nullopt_t) {}
  InputText(std::optional<Bytes> text) {
    if (text) text_ = std::make_shared<const Bytes>(*std::move(text));
  }
  InputText(std::convertible_to<Bytes> auto&& text)
      : text_(std::make_shared<const Bytes>(std::forward<decltype(text)>(text))) {}

  bool has_value() const { return text_ != nullptr; }
  explicit operator bool() const { return has_value(); }
  const Bytes& operator*() const { return *text_; }
  const Bytes* operator->() const { return text_.get(); }
  // Null: none.
  const std::shared_ptr<const Bytes>& shared() const { return text_; }

  friend bool operator==(const InputText& input, std::string_view text) {
    return input && *input == text;
  }

 private:
  std::shared_ptr<const Bytes> text_;
};

struct Question {
  std::vector<std::string> path;       // segments below data
  std::vector<InputText> inputs;       // several: a batch of one snapshot
  std::string caller;                  // for turns and quarantine; empty: unknown
  int64_t deadline_ms = 0;             // soft; 0: as configured
  uint32_t flags = 0;                  // EvaluationFlag
  InputForm form = InputForm::kValue;  // for all inputs
  ExplainMode explain = ExplainMode::kOff;
  // With kLogRules: JSON object with further members of the decision event that the rules see, of
  // all inputs: labels, requested_by, timestamp …; empty: none. Those that the evaluation knows
  // (path, input, result, error, nd_builtin_cache) replace equal ones.
  std::string log_event = {};
  // Of each input, a JSON object: how often decisions of this path have seen its transaction
  // tokens before, by txn (txn_module.hpp); empty: none. No elements: none of any input.
  std::vector<Bytes> presented = {};
};

enum EvaluationFlag : uint32_t {
  kStrictBuiltinErrors = 1,
  kRecordNonDeterministic = 2,
  kMetrics = 4,
  kPrettyExplanation = 8,  // lines of text instead of events
  kListBuiltinErrors = 16,
  kInstrument = 32,  // more metrics, at a cost; implies kMetrics
  kRuleLabels = 64,
  kLogRules = 128,     // data.system.log.drop and mask of the same snapshot, with each decision
  kUnknownKeys = 256,  // keys of tokens that a JWK Set lacked
};

// The result for one input.
struct Evaluation {
  std::optional<Bytes> value;  // JSON; nullopt: undefined
  // JSON object; empty: none. Requested members, each as OPA's server or its decision log renders
  // it: "metrics", "explanation", "rule_labels", "builtin_errors", "nd_builtin_cache"; a member
  // without content is missing. Arguments in "nd_builtin_cache" have no secrets (the worker's
  // README.md); above kNdCacheBytesMax, "nd_builtin_cache_omitted" has its bytes instead.
  // kLogRules: "log" is {"drop":true}; {"mask":[{"op":"remove","path"} or
  // {"op":"upsert","path","value"}, …]}, at most kMaskRulesMax with paths of kMaskRuleBytesMax,
  // each as the policy has it, which begin with /input, /result or /nd_builtin_cache; or
  // {"error":"…"}: it is unknown what must not be recorded.
  // kUnknownKeys: "unknown_keys" is [{"issuer","kid"}, …] of tokens whose verification failed.
  Bytes extras;
  bool has_input = false;    // false: `input` was undefined
  bool rule_exists = false;  // at the path or above it: undefined, but not missing
};

struct Decision {
  SnapshotPtr snapshot;                         // the one that decided, all of it
  std::vector<Result<Evaluation>> evaluations;  // one for each input
  int64_t time_ns = 0;                          // the one reading of the clock
  uint64_t evaluation_ns = 0;                   // for all inputs, the rules for the log included
};

// kMessage: the input or the path is malformed, with OPA's message. kInvalidModel: the policy
// failed, with OPA's message; evaluation_errors() has its details. kTimeout: past its soft
// deadline. kLimit: the result is too large. kUnavailable: no snapshot is active yet, or the engine
// does not start. kQuarantined: this path was stopped for its cost; the message has the duration.
// kOverloaded: too many wait, for this caller or in all. kCancelled.
using DecisionDone = std::function<void(Result<Decision>)>;

// Returns the JSON array that OPA's server has as `errors` for an evaluation whose policy failed,
// each with code, message and optional location. Empty: none.
std::string_view evaluation_errors(const Error& error);
inline constexpr std::string_view kEvaluationErrorsKey = "errors";  // in Error::context
// Returns Evaluation::extras of an evaluation that failed: "nd_builtin_cache" and "log", as far as
// they were asked for. Empty: none. An error of the engine itself (kTimeout of a worker that was
// killed, kQuarantined, kOverloaded, kUnavailable, kInternal) has none: no rule for the log was
// evaluated.
std::string_view evaluation_extras(const Error& error);
inline constexpr std::string_view kEvaluationExtrasKey = "extras";  // in Error::context

// A path that is refused for a while because of its work or memory, or is free again.
struct QuarantineNotice {
  std::string path;    // "a/b/c"
  std::string ledger;  // SnapshotLedger::name; empty: of none
  std::string caller;  // empty: for every caller
  std::string reason;  // for a person
  int64_t for_ms = 0;  // 0: it has ended
};

// State and history of the engine, for health and metrics.
struct EngineStatus {
  bool serving = false;  // a worker decides
  std::string opa_version;
  uint64_t starts = 0, kills = 0, deaths = 0, takeovers = 0, repeats = 0;
  uint64_t units_compiled = 0;  // for activated snapshots, by all workers
  // Large documents of which a worker was sent the changes alone, and how much that was.
  uint64_t documents_patched = 0, patch_bytes = 0;
  uint64_t in_flight = 0, waiting = 0, suspects = 0, quarantined = 0;
  std::string last_error;
};

}  // namespace notp::rego
