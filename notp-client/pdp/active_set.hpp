// The releases of a node's ledgers that a PDP decides with.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "common/rego/txn_rules.hpp"
#include "protocol/model/decision_terms.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/age.hpp"
#include "protocol/trust/release_ref.hpp"
#include "protocol/wire/messages/sources.hpp"

namespace notp::pdp {

struct ActiveRelease {
  trust::ReleaseRef ref;
  std::vector<std::string> data_roots;
  model::TreePtr tree;
  std::shared_ptr<const model::DecisionTerms> terms;  // of its manifest; null: none
  // If freshness_status.denies(), no PDP may give a decision of this release: its roots stay
  // reserved, with neither policies nor data, so that every decision under them is undefined.
  trust::FreshnessStatus freshness_status;
  // Equal releases decide alike: same content, and with it the same terms; same state. The time of
  // the last freshness statement is not compared.
  bool operator==(const ActiveRelease& other) const {
    return ref.release_hash == other.ref.release_hash &&
           freshness_status.state == other.freshness_status.state &&
           freshness_status.withdrawn == other.freshness_status.withdrawn &&
           freshness_status.withheld == other.freshness_status.withheld &&
           freshness_status.denies() == other.freshness_status.denies();
  }
};

// All ledgers of a node, at one version each: a PDP activates them and decides with them as a
// whole. Immutable once shared.
struct ActiveSet {
  std::map<model::LedgerId, ActiveRelease> ledgers;
  TimeMs as_of_ms = 0;  // trusted time at which the freshness was determined
  // The registry's last word on the sources of keys; null: none in this process.
  std::shared_ptr<const wire::SourceStatus> sources;
  // How the node verifies transaction tokens; null: it does not.
  std::shared_ptr<const rego::TxnRules> txn;

  // The revision that a PDP reports: "zone/name@version" of each ledger, joined by ','; "none"
  // without ledgers. A ledger that is not in its ordinary state has it after the version: ";stale",
  // ";expired", ";withdrawn", ";withheld". Sets with equal ledgers have equal revisions.
  std::string revision() const;
  // The data roots of the ledgers whose freshness status denies.
  std::vector<std::string> denied_roots() const;
  // The document at data.system.notp: "revision", "as_of_ms", and "ledgers" by name ("zone/name"
  // for names that two zones of the node share), each with "state", "withheld", "vouched_ms",
  // "age_s" (absent before the first freshness statement) and the publisher's terms. With sources
  // also "sources", which has "issuers" by name, each with "issuer", "ledger" ("zone/name"),
  // "state" and "good_ms". With `txn` also "txn_verify": "keys", "audience" and "lane".
  json::value system_document() const;
};
using ActiveSetPtr = std::shared_ptr<const ActiveSet>;

// The rules that a document at data.system.notp has; null: none.
std::shared_ptr<const rego::TxnRules> recorded_txn_rules(const json::value& system);

// Whether `shown` gives decisions of a ledger that `wanted` denies: no PDP may go back to it.
bool gives_denied(const ActiveSet& shown, const ActiveSet& wanted);

}  // namespace notp::pdp
