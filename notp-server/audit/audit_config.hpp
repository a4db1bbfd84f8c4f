// The section `audit` of the registry's configuration.
#pragma once

#include <filesystem>

#include "common/config_section.hpp"

namespace notp::audit {

struct AuditConfig {
  bool enabled = true;
  std::filesystem::path folder;
};

// `data_dir` is the registry's: records are kept in a folder of it unless another one is named.
AuditConfig load_audit(const config::Section& audit, const std::filesystem::path& data_dir);

}  // namespace notp::audit
