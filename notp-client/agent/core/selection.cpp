#include "notp-client/agent/core/selection.hpp"

#include <fmt/format.h>

#include "protocol/model/manifest.hpp"

namespace notp::agent {
namespace {

class Selector {
 public:
  Selector(const std::vector<LedgerCandidates>& ledgers, const FindFault& fault)
      : ledgers_(ledgers), fault_(fault) {}

  // Exclusions are permanent, so the loop ends when the candidates do.
  Selection run() && {
    do {
      out_ = {};
      owned_.clear();
      for (const LedgerCandidates& ledger : ledgers_) pick(ledger);
    } while (exclude());
    return std::move(out_);
  }

 private:
  struct Owned {
    const model::LedgerId* ledger;
    const Candidate* candidate;
  };

  void pick(const LedgerCandidates& ledger) {
    const Candidate* picked = nullptr;
    const Candidate* withheld = nullptr;
    for (const Candidate& candidate : ledger.candidates) {
      std::optional<Error> problem = overlap(ledger.ledger, candidate);
      if (!problem && excluded(ledger.ledger, candidate.version) != nullptr) {
        problem = *excluded(ledger.ledger, candidate.version);
        if (withheld == nullptr) withheld = &candidate;
      }
      if (!problem) {
        picked = &candidate;
        break;
      }
      // Reports the best candidate only.
      out_.refused.try_emplace(ledger.ledger, candidate.version, *std::move(problem));
    }
    const Candidate* const owner = picked ? picked : withheld;
    if (owner == nullptr) return;
    out_.picks[ledger.ledger] = {owner->version, picked == nullptr};
    owned_.push_back({&ledger.ledger, owner});
  }

  std::optional<Error> overlap(const model::LedgerId& ledger, const Candidate& candidate) const {
    for (const Owned& other : owned_)
      if (const std::string pair =
              model::roots_overlap(*other.candidate->data_roots, *candidate.data_roots);
          !pair.empty())
        return Error{ErrorCode::kRootsOverlap,
                     fmt::format("data roots of {} v{} overlap with those of {} v{} ({}), which "
                                 "stands first in this node's `ledgers`",
                                 ledger.text(), candidate.version, other.ledger->text(),
                                 other.candidate->version, pair),
                     {}};
    return std::nullopt;
  }

  const Error* excluded(const model::LedgerId& ledger, uint64_t version) const {
    const auto found = excluded_.find({ledger, version});
    return found == excluded_.end() ? nullptr : &found->second;
  }

  // Whether another pass is needed.
  bool exclude() {
    bool any = false;
    for (const Owned& owned : owned_) {
      if (out_.picks.at(*owned.ledger).withheld) continue;
      auto problem = missing_use(*owned.ledger, *owned.candidate);
      if (!problem) problem = fault_(*owned.ledger, owned.candidate->version, out_.picks);
      if (!problem) continue;
      excluded_.emplace(std::pair(*owned.ledger, owned.candidate->version), *std::move(problem));
      any = true;
    }
    return any;
  }

  std::optional<Error> missing_use(const model::LedgerId& ledger,
                                   const Candidate& candidate) const {
    const auto problem = [&](std::string_view what) {
      return Error{ErrorCode::kPdpRejected,
                   fmt::format("{} v{} {}", ledger.text(), candidate.version, what),
                   {}};
    };
    for (const model::LedgerUse& use : *candidate.uses) {
      const auto used = out_.picks.find(use.ledger);
      if (used == out_.picks.end())
        return problem(
            fmt::format("uses {}, of which this node has no release: is it in its "
                        "`ledgers`?",
                        use.ledger.text()));
      if (used->second.version < use.version)
        return problem(fmt::format("uses {} from v{} on, and this node decides with v{}",
                                   use.ledger.text(), use.version, used->second.version));
    }
    return std::nullopt;
  }

  const std::vector<LedgerCandidates>& ledgers_;
  const FindFault& fault_;
  Selection out_;
  std::vector<Owned> owned_;  // in the order of ledgers_
  std::map<std::pair<model::LedgerId, uint64_t>, Error> excluded_;
};

}  // namespace

Selection select_releases(const std::vector<LedgerCandidates>& ledgers, const FindFault& fault) {
  return Selector(ledgers, fault).run();
}

}  // namespace notp::agent
