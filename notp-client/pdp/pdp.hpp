// What every policy decision point looks like to the agent.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/json.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/age.hpp"

namespace notp {

struct ComposedRelease {
  uint64_t version = 0;
  uint64_t epoch = 0;
  Hash release;
  Hash content_root;
  std::vector<std::string> roots;
  TreePtr tree;
  // With standing.denies() no PDP may give a decision of this release: its roots stay reserved, and
  // hold neither policies nor data, so that every decision under them is undefined.
  Standing standing;
  // Equal releases decide alike: the same content, in the same state. When it was last vouched for
  // is not compared.
  bool operator==(const ComposedRelease& other) const {
    return release == other.release && standing.state == other.standing.state &&
           standing.withdrawn == other.standing.withdrawn &&
           standing.denies() == other.standing.denies();
  }
};

// All ledgers of a node, at one version each: what a PDP activates as a whole. Immutable.
struct Composition {
  std::map<LedgerId, ComposedRelease> ledgers;
  TimeMs as_of_ms = 0;  // trusted time at which the standings were taken

  // The revision a PDP reports: "zone/name@version" of each ledger, joined by ','; "none" without
  // ledgers. A ledger that is not in its ordinary state has it after the version: ";stale",
  // ";expired", ";withdrawn". Compositions with equal ledgers have equal revisions.
  std::string revision() const;
  // Of the ledgers whose standing denies.
  std::vector<std::string> denied_roots() const;
  // The document at data.system.notp: "revision", "as_of_ms", and "ledgers" by name ("zone/name"
  // for names that two zones of the node share), each with "state", "vouched_ms", "age_s" (missing
  // when nobody ever vouched) and the publisher's terms.
  json::value system_document() const;
};
using CompositionPtr = std::shared_ptr<const Composition>;

// Whether `shown` gives decisions of a ledger that `wanted` denies: nobody may go back to it.
bool gives_denied(const Composition& shown, const Composition& wanted);

// The word of the PDP itself about one composition.
struct PdpOutcome {
  CompositionPtr composition;
  std::optional<Error> rejected;  // empty: it now decides with this composition
};
using PdpReport = std::function<void(PdpOutcome)>;

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
  // OPA's POST /v1/data/<path>: the JSON value; nullopt when undefined. `input` is empty when there
  // is none. May be called from any thread. kUnavailable before the first activation.
  virtual Result<std::optional<Bytes>> evaluate(std::string_view path, ByteView input) = 0;
};

}  // namespace notp
