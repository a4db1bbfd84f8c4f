// Which release of each ledger a node decides with, beside the others: who owns a data root, and
// whether what a release uses is there. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "protocol/model/ledger.hpp"

namespace notp {

struct Candidate {
  uint64_t version = 0;
  const std::vector<std::string>* data_roots = nullptr;
  const std::vector<LedgerUse>* uses = nullptr;
};

// A ledger of the node and what it may be decided with, best first.
struct LedgerCandidates {
  LedgerId ledger;
  std::vector<Candidate> candidates;
};

struct Pick {
  uint64_t version = 0;
  // None of the candidates can be decided with: the best one keeps its roots, and gives no
  // decisions.
  bool withheld = false;
  bool operator==(const Pick&) const = default;
};
using Picks = std::map<LedgerId, Pick>;

// A ledger's best candidate, which is not decided with, and why.
struct Refused {
  uint64_t version = 0;
  Error error;
};

struct Selection {
  Picks picks;  // ledgers whose roots are others' are not in it
  std::map<LedgerId, Refused> refused;
};

// What is known to be wrong with a release beside the others; nullopt: nothing.
using FindFault =
    std::function<std::optional<Error>(const LedgerId&, uint64_t version, const Picks& beside)>;

// Of two ledgers whose roots overlap the one that stands earlier owns them, whatever was there
// first: of the later one an older candidate is taken, or none (kRootsOverlap). A release whose
// uses are missing or too old, or that has a fault beside what it uses, gives way to an older one
// or is withheld (kPdpRejected); it never keeps a release of what it uses from being picked.
Selection select_releases(const std::vector<LedgerCandidates>& ledgers, const FindFault& fault);

}  // namespace notp
