// What every policy decision point looks like to the agent.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/json.hpp"
#include "common/rego/check.hpp"
#include "common/rego/host/question.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/age.hpp"
#include "protocol/trust/release_ref.hpp"

namespace notp {

struct ComposedRelease {
  ReleaseRef ref;
  std::vector<std::string> data_roots;
  TreePtr tree;
  // With standing.denies() no PDP may give a decision of this release: its roots stay reserved, and
  // hold neither policies nor data, so that every decision under them is undefined.
  Standing standing;
  // Equal releases decide alike: the same content, in the same state. When it was last vouched for
  // is not compared.
  bool operator==(const ComposedRelease& other) const {
    return ref.release_hash == other.ref.release_hash && standing.state == other.standing.state &&
           standing.withdrawn == other.standing.withdrawn &&
           standing.withheld == other.standing.withheld &&
           standing.denies() == other.standing.denies();
  }
};

// All ledgers of a node, at one version each: what a PDP activates as a whole. Immutable.
struct Composition {
  std::map<LedgerId, ComposedRelease> ledgers;
  TimeMs as_of_ms = 0;  // trusted time at which the standings were taken

  // The revision a PDP reports: "zone/name@version" of each ledger, joined by ','; "none" without
  // ledgers. A ledger that is not in its ordinary state has it after the version: ";stale",
  // ";expired", ";withdrawn", ";withheld". Compositions with equal ledgers have equal revisions.
  std::string revision() const;
  // Of the ledgers whose standing denies.
  std::vector<std::string> denied_roots() const;
  // The document at data.system.notp: "revision", "as_of_ms", and "ledgers" by name ("zone/name"
  // for names that two zones of the node share), each with "state", "withheld", "vouched_ms",
  // "age_s" (missing when nobody ever vouched) and the publisher's terms.
  json::value system_document() const;
};
using CompositionPtr = std::shared_ptr<const Composition>;

// Whether `shown` gives decisions of a ledger that `wanted` denies: nobody may go back to it.
bool gives_denied(const Composition& shown, const Composition& wanted);

// What decides: the releases, and the roots of them that are withheld, because their ledger is
// denied and the PDP has not let go of it yet. Immutable.
struct ActiveSet {
  CompositionPtr composition;
  std::vector<std::string> withheld_roots;

  // Whether data.<path> is at, below or above a withheld root.
  bool withholds(const std::vector<std::string>& path) const;
};
using ActiveSetPtr = std::shared_ptr<const ActiveSet>;

// The set for a PDP that decides with `active` (null: it has said nothing yet) and should decide
// with `wanted`. From the word that a ledger is denied to the PDP's word that it is, nothing of the
// ledger is answered, however long the PDP takes and even if it fails.
ActiveSetPtr active_set(CompositionPtr active, const Composition* wanted);

using rego::ExplainMode;
using rego::InputForm;

struct Question {
  std::vector<std::string> path;             // segments below data; none: all of it
  std::vector<std::optional<Bytes>> inputs;  // texts; nullopt: `input` is undefined
  std::string caller;                  // who asks: callers take turns; empty: nobody in particular
  uint32_t flags = 0;                  // rego::EvaluationFlag
  InputForm form = InputForm::kValue;  // of all inputs
  ExplainMode explain = ExplainMode::kOff;
};

// One answer.
struct Decision {
  std::optional<Bytes> value;  // JSON; nullopt: undefined
  ActiveSetPtr active;         // that decided, all of it
  Bytes extras;                // as in rego::Evaluation; empty: none
  int64_t time_ns = 0;         // the clock that the policy saw; 0: not known
  bool has_input = false;      // false: `input` was undefined
  bool rule_exists = false;    // at the path or above it: what is undefined is not missing
};

// "a/b/c" as segments; empty segments are left out.
std::vector<std::string> path_segments(std::string_view path);

// A path that is refused for a while because of the work or memory it took, or is free again.
struct PdpQuarantine {
  std::string ledger;  // "zone/name"; empty: of none
  std::string path;    // "a/b/c"
  std::string reason;  // for a person
  bool ended = false;
};

// The word of the PDP itself about one composition.
struct PdpOutcome {
  CompositionPtr composition;
  std::optional<Error> rejected;  // empty: it now decides with this composition
};
using PdpReport = std::function<void(PdpOutcome)>;
using PdpQuarantineReport = std::function<void(PdpQuarantine)>;

// Host-side interface; one thread (the agent's executor), but for what an implementation says
// otherwise.
class Pdp {
 public:
  virtual ~Pdp() = default;
  // "embedded", "opa", "folder": for logs and the fleet.
  virtual std::string_view kind() const = 0;
  // Called once before the first activate. `report` is invoked on the agent's executor, never from
  // within activate(), any number of times: an OPA that restarts confirms again.
  virtual void start(PdpReport report) = 0;
  // Replaces what the PDP should decide with. Returns at once; the outcome comes through the
  // report. A newer call supersedes an older one whose outcome is still open.
  virtual void activate(CompositionPtr composition, BlobLoader load) = 0;
  // OPA's POST /v1/data/<path>, once for each input, all by one ActiveSet. May be called from any
  // executor. kUnavailable before the first activation; kQuarantined, kOverloaded; the errors of
  // one input are its own: kMessage with OPA's words for a malformed input, kInvalidModel for a
  // policy that failed (rego::evaluation_errors() has OPA's `errors`), and as in question.hpp.
  // Asio's cancellation ends it with kCancelled, and stops the evaluation.
  virtual boost::asio::awaitable<Result<std::vector<Result<Decision>>>> evaluate(
      Question question) = 0;
};

}  // namespace notp
