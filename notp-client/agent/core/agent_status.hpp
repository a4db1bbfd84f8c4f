// The state of an agent, for the log, metrics and the health endpoint.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "protocol/model/ledger.hpp"
#include "protocol/trust/age.hpp"
#include "protocol/wire/messages/sources.hpp"

namespace notp::agent {

class CommitReports;
class LocalReleases;

struct LedgerStatus {
  model::LedgerId ledger;
  uint64_t stored_version = 0;  // 0: none
  uint64_t active_version = 0;  // confirmed by the PDP in this process; 0: none
  uint64_t rejected_version = 0;
  std::string error;
  std::string refusal;  // why the registry does not grant this ledger
  // Paths that the PDP refuses for a while because of the work they took, each with the reason.
  std::map<std::string, std::string> quarantined_paths;
  // Of the active release; before the PDP confirmed one, of the next to activate.
  trust::FreshnessStatus freshness_status;
  TimeMs next_change_ms = kNever;  // trusted time of its next state, if nothing arrives until then
};

struct AgentStatus {
  bool connected = false;  // Welcome arrived
  std::string last_error;  // of the connection
  std::vector<LedgerStatus> ledgers;
  std::vector<std::string> alarms;
  // Why the records of this node's decisions do not reach the registry; empty: they do, or none
  // were offered.
  std::string log_refused;
  // Why this node refuses the registry's tree of decision logs; empty: it does not.
  std::string tree_refused;
  // Which acknowledged records have no receipt of that tree for too long; empty: none.
  std::string receipts_overdue;
  // The registry's last word on the sources of keys in the ledgers; none before the first one.
  std::vector<wire::IssuerStatus> sources;
  uint64_t root_version = 0;
  TimeMs root_expires_ms = 0;  // 0: never
  uint64_t freshness_sequence = 0;
  // Trusted time of this status, and the boot clock at that moment, from which ages continue.
  TimeMs as_of_ms = 0;
  TimeMs as_of_boot_ms = 0;
};

LedgerStatus status_of(const model::LedgerId& ledger, const LocalReleases& releases,
                       const CommitReports& reports);

}  // namespace notp::agent
