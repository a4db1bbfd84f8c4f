// The configuration files that `notp setup` writes.
#pragma once

#include <string>

#include "tools/notp/setup/setup_plan.hpp"

namespace notp::cli {

std::string registry_configuration(const SetupPlan& plan);
// The configuration of `notp` for the publisher and for the administrator. Paths are relative to
// the file's folder, so that the folder can be moved to another machine.
std::string publisher_configuration(const SetupPlan& plan);
std::string admin_configuration(const SetupPlan& plan);

}  // namespace notp::cli
