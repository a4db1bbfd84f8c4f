// Records for people.
#pragma once

#include "tools/notp/audit/audit_record.hpp"
#include "tools/notp/output.hpp"

namespace notp::cli {

// One line, with its line break: time, node, outcome, ledger and version, path, id.
std::string decision_line(const Output& output, const AuditRecord& record);

// All that a decision says, with JSON indented.
std::string decision_text(const AuditRecord& record);

// "power_loss, at most 12 records: …".
std::string gap_text(const record::Gap& gap);

}  // namespace notp::cli
