// Selects the release of each ledger that a node decides with: resolves which ledger owns a data
// root, and whether the releases that a release uses are present. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::agent {

struct Candidate {
  uint64_t version = 0;
  const std::vector<std::string>* data_roots = nullptr;
  const std::vector<model::LedgerUse>* uses = nullptr;
};

// A ledger of the node and its usable releases, best first.
struct LedgerCandidates {
  model::LedgerId ledger;
  std::vector<Candidate> candidates;
};

struct Pick {
  uint64_t version = 0;
  // None of the candidates can be used: the best one keeps its roots reserved and gives no
  // decisions.
  bool withheld = false;
  bool operator==(const Pick&) const = default;
};
using Picks = std::map<model::LedgerId, Pick>;

// A ledger's best candidate, if it is not used, and the reason.
struct Refused {
  uint64_t version = 0;
  Error error;
};

struct Selection {
  Picks picks;  // without ledgers whose roots belong to others
  std::map<model::LedgerId, Refused> refused;
};

// Returns the known fault of a release together with the others; nullopt: none.
using FindFault = std::function<std::optional<Error>(const model::LedgerId&, uint64_t version,
                                                     const Picks& beside)>;

// If the roots of two ledgers overlap, the earlier ledger owns them, whichever was stored first:
// for the later one an older candidate is taken, or none (kRootsOverlap). A release whose uses are
// missing or too old, or that has a fault together with what it uses, is replaced by an older one
// or withheld (kPdpRejected); it never prevents a release that it uses from being picked.
Selection select_releases(const std::vector<LedgerCandidates>& ledgers, const FindFault& fault);

}  // namespace notp::agent
