// Records as JSON: a decision as OPA's decision log event (EventV1 of OPA 1.22.2), plus one object
// "notp" with what OPA's event has no name for. Compact, one line.
#pragma once

#include "tools/notp/audit/audit_record.hpp"

namespace notp::cli {

// A decision has every member of OPA's event under its name, in OPA's order, and none that would be
// empty. Any other record has "timestamp", "labels" and "notp" alone. Pure.
Bytes event_json(const AuditRecord& record);

// The object "notp" by itself.
Bytes notp_json(const AuditRecord& record);

// "v41" of the ledger that owns the path, as "100000000001/payments@v41"; the ledger alone when the
// version is not known; "-" without a ledger.
std::string release_text(const AuditRecord& record);

}  // namespace notp::cli
