// Releases that a PDP refused together with certain versions of the ledgers they use. Not durable:
// a restart asks the PDP again. Pure. One thread.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string_view>

#include "notp-client/agent/core/desired_state.hpp"
#include "notp-client/agent/core/local_releases.hpp"
#include "notp-client/agent/core/selection.hpp"

namespace notp::agent {

struct Rejection {
  uint64_t version = 0;
  Versions beside;  // versions of the ledgers that it uses
  Error error;
};

class Rejections {
 public:
  // Returns why the release cannot be activated with these picks; nullopt: no reason is known.
  std::optional<Error> find(const model::LedgerId& ledger, uint64_t version,
                            const Picks& beside) const;
  // Stores a rejection. Keeps at most kRejectionsKept per ledger, and one for each stored release.
  void keep(const model::LedgerId& ledger, Rejection rejection, const LocalReleases& releases);

 private:
  std::map<model::LedgerId, std::deque<Rejection>> ledgers_;
};

// Whether a PDP's findings name a file of the ledger. Each finding is a line that begins with the
// path.
bool names_ledger(const model::LedgerId& ledger, std::string_view findings);

}  // namespace notp::agent
