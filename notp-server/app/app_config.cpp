#include "notp-server/app/app_config.hpp"

#include "common/config.hpp"
#include "notp-server/authz/authz_config.hpp"
#include "notp-server/service/service_config.hpp"
#include "notp-server/trust/freshness_config.hpp"
#include "protocol/transport/tls_config.hpp"
#include "schemas/embedded.hpp"

namespace notp::server {

Result<ServerConfig> ServerConfig::load(const std::filesystem::path& file,
                                        const Environment& environment) {
  NOTP_ASSIGN(const json::value document, load_config({.file = file,
                                                       .schema = schemas::kServerConfig,
                                                       .env_prefix = "NOTP_SERVER",
                                                       .environment = environment}));
  const config::Section root(document);
  ServerConfig out;
  out.trust_domain = root.text("trust_domain");
  out.data_dir = root.text("data_dir");
  out.root = root.text("root");
  out.port_file = root.text_or_empty("port_file");
  out.health_listen = root.text_or_empty("health_listen");
  out.validation_worker = root.text_or_empty("validation.worker");
  out.artifact_cache_bytes = root.size("artifact_cache_bytes");
  out.artifact_recompress_level = static_cast<int>(root.integer("artifact_recompress_level"));
  out.snapshot_memory_bytes = root.size("snapshot_memory_bytes");
  // One line for each component.
  NOTP_ASSIGN(out.tls, transport::load_tls(root, out.trust_domain));
  out.service = service::load_service(root);
  NOTP_ASSIGN(out.log, load_log(root.section("log")));
  NOTP_ASSIGN(out.freshness, trust::load_freshness(root.section("freshness")));
  NOTP_ASSIGN(out.deny_list, authz::load_deny_list(root));
  out.enroll = enroll::load_enroll(root, out.tls);
  NOTP_ASSIGN(out.audit, audit::load_audit(root.section("audit"), out.data_dir));
  NOTP_ASSIGN(out.sources, sources::load_sources(root));
  NOTP_ASSIGN(out.lanes, lane::load_lanes(root, out.trust_domain));
  NOTP_ASSIGN(out.lane_inputs, load_lane_inputs(root, out.trust_domain));
  NOTP_ASSIGN(out.rights, authz::load_rights(root, out.tls));
  return out;
}

}  // namespace notp::server
