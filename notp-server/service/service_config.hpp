// The registry's configuration of sessions and their threads.
#pragma once

#include "common/config_section.hpp"
#include "notp-server/service/service.hpp"

namespace notp::service {

// Reads the whole configuration.
ServiceOptions load_service(const config::Section& root);

}  // namespace notp::service
