// The registry's configuration in typed form. schemas/server-config.schema.json says what is
// allowed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "common/log.hpp"
#include "notp-server/service/rights.hpp"
#include "notp-server/service/service.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp {

struct ServerConfig {
  std::string trust_domain;
  std::filesystem::path data_dir;
  std::filesystem::path root;
  std::filesystem::path port_file;  // empty: none
  std::string health_listen;        // empty: not served
  TlsFiles tls;
  ServiceOptions service;
  FreshnessOptions freshness;
  size_t workers = 0;
  size_t artifact_cache_bytes = 0;
  log::Level log_level = log::Level::kInfo;
  log::Format log_format = log::Format::kJson;
  std::vector<RightsRule> rights;

  // kConfig with a line for each mistake.
  static Result<ServerConfig> load(const std::filesystem::path& file,
                                   const Environment& environment);
};

}  // namespace notp
