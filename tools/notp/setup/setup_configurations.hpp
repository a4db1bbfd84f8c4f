// The configuration files that `notp setup` writes.
#pragma once

#include <string>

#include "tools/notp/setup/setup_plan.hpp"

namespace notp::cli {

std::string registry_configuration(const SetupPlan& plan);
// Of `notp`, for the publisher and for the administrator. Paths are relative to the file's folder,
// which can so be taken to another machine.
std::string publisher_configuration(const SetupPlan& plan);
std::string admin_configuration(const SetupPlan& plan);

}  // namespace notp::cli
