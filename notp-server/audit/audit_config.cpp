#include "notp-server/audit/audit_config.hpp"

namespace notp::audit {

AuditConfig load_audit(const config::Section& audit, const std::filesystem::path& data_dir) {
  const std::string folder = audit.text_or_empty("folder");
  return {.enabled = audit.flag("enabled"),
          .folder = folder.empty() ? data_dir / "audit" : std::filesystem::path(folder)};
}

}  // namespace notp::audit
