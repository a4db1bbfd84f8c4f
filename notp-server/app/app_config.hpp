// The registry's configuration in typed form. schemas/server-config.schema.json defines what is
// valid.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "common/log_config.hpp"
#include "notp-server/app/lane_inputs_config.hpp"
#include "notp-server/audit/audit_config.hpp"
#include "notp-server/authz/rights.hpp"
#include "notp-server/enroll/enroll_config.hpp"
#include "notp-server/lane/lane_config.hpp"
#include "notp-server/service/service.hpp"
#include "notp-server/sources/sources_config.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::server {

struct ServerConfig {
  std::string trust_domain;
  std::filesystem::path data_dir;
  std::filesystem::path root;
  std::filesystem::path port_file;  // empty: none
  std::string health_listen;        // empty: not served
  transport::TlsFiles tls;
  service::ServiceOptions service;
  trust::FreshnessOptions freshness;
  std::optional<model::LedgerId> deny_list;
  std::optional<enroll::EnrollConfig> enroll;
  audit::AuditConfig audit;
  std::optional<sources::SourcesConfig> sources;
  std::optional<lane::LanesConfig> lanes;
  LaneInputsConfig lane_inputs;
  std::string validation_worker;  // empty: beside this program
  size_t artifact_cache_bytes = 0;
  int artifact_recompress_level = 0;  // 0: never
  uint64_t snapshot_memory_bytes = 0;
  LogConfig log;
  std::vector<authz::RightsRule> rights;

  // kConfig with a line for each mistake.
  static Result<ServerConfig> load(const std::filesystem::path& file,
                                   const Environment& environment);
};

}  // namespace notp::server
