#include "notp-server/audit/audit_config.hpp"

#include <fmt/format.h>

#include <utility>

namespace notp::audit {
namespace {

Result<WitnessAddress> witness_of(const config::Section& entry) {
  WitnessAddress out;
  out.url = entry.text("url");
  while (out.url.ends_with('/')) out.url.pop_back();
  auto key = record::parse_named_key(entry.text("key"));
  if (!key || !key->cosigns)
    return fail(ErrorCode::kConfig,
                fmt::format("audit.witnesses: the key of {} is not one of cosignatures: use the "
                            "line that its operator publishes, <name>+<key id>+<base64>{}",
                            out.url, key ? "" : "; " + key.error().message));
  out.key = *std::move(key);
  return out;
}

}  // namespace

Result<AuditConfig> load_audit(const config::Section& audit,
                               const std::filesystem::path& data_dir) {
  const std::string folder = audit.text_or_empty("folder");
  AuditConfig out{.enabled = audit.flag("enabled"),
                  .folder = folder.empty() ? data_dir / "audit" : std::filesystem::path(folder),
                  .seal_ms = audit.integer("seal_ms"),
                  .witnesses = {},
                  .retain_days_min = static_cast<uint32_t>(audit.integer("retain_days_min")),
                  .recompress = audit.flag("recompress")};
  for (const config::Section& entry : audit.sections("witnesses")) {
    NOTP_ASSIGN(WitnessAddress witness, witness_of(entry));
    out.witnesses.push_back(std::move(witness));
  }
  return out;
}

}  // namespace notp::audit
