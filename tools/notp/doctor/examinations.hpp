// What `notp doctor` looks at. An error is one of the call (kUsage, kConfig: nothing could be
// examined); whatever is wrong with the set-up is a finding.
#pragma once

#include "tools/notp/command.hpp"
#include "tools/notp/doctor/diagnosis.hpp"

namespace notp::cli::doctor {

// The registry whose configuration is on this machine.
Result<void> examine_registry(const Context& context, Diagnosis& diagnosis);
// The agent whose configuration is on this machine, its OPA, and its way to the registry.
Result<void> examine_agent(const Context& context, Diagnosis& diagnosis);
// The settings of this CLI, and the registry as its identity sees it.
Result<void> examine_client(const Context& context, Diagnosis& diagnosis);

}  // namespace notp::cli::doctor
