// Opens the key sources as the configuration says, and checks that they can publish.
#pragma once

#include <memory>

#include "common/config.hpp"
#include "common/setup_report.hpp"
#include "notp-server/app/app_config.hpp"
#include "notp-server/sources/sources.hpp"
#include "notp-server/trust/root_store.hpp"

namespace notp::server {

// Null without the section, and where nothing can be published: `is_volatile`, a disk that takes no
// writes. The errors of Sources::open().
Result<std::unique_ptr<sources::Sources>> open_sources(const ServerConfig& config, bool is_volatile,
                                                       registry::Registry& registry,
                                                       trust::RootStore& roots,
                                                       const Environment& environment);

// Findings: a source key or a file of authorities that cannot be read is refused; a ledger that the
// root does not give to the source key is useless, and one that it gives for more than keys is a
// warning. `root` is null when there is no usable one.
void check_sources(const ServerConfig& config, const trust::Root* root, SetupReport& report);

}  // namespace notp::server
