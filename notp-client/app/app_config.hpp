// The agent's configuration in typed form. schemas/agent-config.schema.json defines what is valid.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "common/log_config.hpp"
#include "notp-client/agent/host/agent_host.hpp"
#include "notp-client/api/api_config.hpp"
#include "notp-client/lane/lane_config.hpp"
#include "notp-client/pdp/pdp_config.hpp"
#include "notp-client/spool/spool_config.hpp"
#include "notp-client/txn/service_config.hpp"
#include "notp-client/txn/verify/verify_config.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::client {

struct ClientConfig {
  agent::AgentHostOptions host;
  agent::AgentOptions agent;
  transport::TlsFiles tls;
  bool renew = false;  // renew this node's certificate over the session
  std::filesystem::path data_dir;
  std::filesystem::path root;
  std::filesystem::path port_file;  // empty: none
  api::ApiConfig api;
  pdp::PdpConfig pdp;
  std::optional<lane::LaneConfig> lane;           // nullopt: no lane is followed
  std::optional<txn::ServiceConfig> txn_service;  // nullopt: this agent issues no tokens
  std::optional<txn::VerifyConfig> txn_verify;    // nullopt: policies verify no such tokens
  spool::RecordingConfig decisions;
  LogConfig log;
  // The settings that SIGHUP does not change, as read, by top-level key.
  json::object fixed;

  // The secret that the agent's own OPA presents.
  std::filesystem::path opa_secret() const { return data_dir / "opa-token"; }

  // kConfig with a line for each mistake.
  static Result<ClientConfig> load(const std::filesystem::path& file,
                                   const Environment& environment);
};

}  // namespace notp::client
