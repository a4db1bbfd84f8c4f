// Declarations shared by the files of `notp decisions`.
#pragma once

#include "tools/notp/audit/audit_port.hpp"
#include "tools/notp/audit/filter.hpp"
#include "tools/notp/query/query_session.hpp"

namespace notp::cli {

// What `notp decisions verify`, `gaps` and `missing` exit with when nothing differs from what was
// signed, but something is not there. The number is that of exit_code::kInvalid, which these
// commands cannot exit with; something that differs exits with exit_code::kFailure.
inline constexpr int kExitGaps = 3;

// A session with a registry, to ask about decisions.
struct AuditSession {
  QuerySession query;
  std::unique_ptr<RegistryAudit> port;
};
Result<AuditSession> open_audit_session(const Context& context);
// With the settings of another folder.
Result<AuditSession> open_audit_session(const Context& context, const Settings& settings);

void add_decision_lists(Commands& commands, CLI::App& decisions);    // tail, search, stats, show
void add_decision_export(Commands& commands, CLI::App& decisions);   // export
void add_decision_replays(Commands& commands, CLI::App& decisions);  // replay, impact
void add_decision_proofs(Commands& commands, CLI::App& decisions);   // prove, check
void add_decision_holds(Commands& commands, CLI::App& decisions);    // hold, holds
void add_decision_erase(Commands& commands, CLI::App& decisions);    // erase
void add_log_verify(Commands& commands, CLI::App& decisions);        // verify
void add_log_gaps(Commands& commands, CLI::App& decisions);          // gaps, missing
void add_node_at(Commands& commands, CLI::App& node);                // node at

}  // namespace notp::cli
