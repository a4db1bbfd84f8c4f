// Makes of an event what its record may hold, as for the decisions of the agent's own PDP.
#pragma once

#include <optional>
#include <string>

#include "common/random.hpp"
#include "notp-client/decision/recorded_sets.hpp"
#include "notp-client/opa_log/opa_event.hpp"

namespace notp::opa_log {

// Masks the content by what always holds and by the masks of the ledgers concerned, names its
// ledger and makes it fit. `decided_by`: null when its revision is unknown; then the masks are
// those of `newest`. Without both, and when masking fails, input and result are withheld. Returns
// the rule by which the decision is only counted, and then leaves the content alone.
std::optional<std::string> treat(OpaEvent& event, const decision::RecordedSet* decided_by,
                                 const decision::RecordedSet* newest, Random& random);

}  // namespace notp::opa_log
