// Decisions as events of the Open Cybersecurity Schema Framework 1.3: class API Activity, because
// none is for a decision; it says what was decided under actor.authorizations.
#pragma once

#include "tools/notp/audit/audit_record.hpp"

namespace notp::cli {

// One line of JSON; `record` is a decision. What OCSF has no attribute for is under "unmapped":
// the members of OPA's event that are left, and "notp". Pure.
Bytes ocsf_event(const AuditRecord& record);

}  // namespace notp::cli
