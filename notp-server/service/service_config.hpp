// What the registry's configuration says about sessions and their threads.
#pragma once

#include "common/config_section.hpp"
#include "notp-server/service/service.hpp"

namespace notp {

// From the whole configuration.
ServiceOptions load_service(const config::Section& root);

}  // namespace notp
