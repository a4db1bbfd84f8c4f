// Releases that a PDP refused beside certain versions of what they use. Not durable: a restart asks
// the PDP again. Pure. One thread.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string_view>

#include "notp-client/agent/core/desired_state.hpp"
#include "notp-client/agent/core/local_releases.hpp"
#include "notp-client/agent/core/selection.hpp"

namespace notp {

struct Rejection {
  uint64_t version = 0;
  Versions beside;  // of the ledgers that it uses
  Error error;
};

class Rejections {
 public:
  // Why the release cannot be decided with beside these picks; nullopt: nothing is known.
  std::optional<Error> find(const LedgerId& ledger, uint64_t version, const Picks& beside) const;
  // Keeps at most kRejectionsKept of a ledger, and one for each release that is stored.
  void keep(const LedgerId& ledger, Rejection rejection, const LocalReleases& releases);

 private:
  std::map<LedgerId, std::deque<Rejection>> ledgers_;
};

// Whether a PDP's findings name a file of the ledger: a line each, which begins with the path.
bool names_ledger(const LedgerId& ledger, std::string_view findings);

}  // namespace notp
