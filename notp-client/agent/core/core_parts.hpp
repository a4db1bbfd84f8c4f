// References that the parts of the agent's core share. All of them outlive the parts.
#pragma once

#include "notp-client/agent/core/agent_effect.hpp"
#include "notp-client/agent/core/agent_trust.hpp"
#include "notp-client/agent/core/alarms.hpp"
#include "notp-client/agent/core/commit_reports.hpp"
#include "notp-client/agent/core/local_releases.hpp"
#include "notp-client/agent/core/registry_session.hpp"

namespace notp::agent {

struct CoreParts {
  AgentTrust& trust;
  LocalReleases& releases;
  RegistryPort& registry;
  CommitReports& reports;
  Alarms& alarms;
  AgentEffects& effects;
};

}  // namespace notp::agent
