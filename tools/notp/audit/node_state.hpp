// What a node decided with at a time.
#pragma once

#include <optional>

#include "tools/notp/audit/audit_record.hpp"

namespace notp::cli {

struct NodeState {
  AuditRecord active;               // the ACTIVE record in force
  std::optional<int64_t> ended_ns;  // the agent had ended in order, and had not started again
};
// nullopt: no record says so. Reads from the newest record at or before `time_ms` back.
Result<std::optional<NodeState>> node_state_at(AuditPort& port, const std::string& node,
                                               TimeMs time_ms);

}  // namespace notp::cli
