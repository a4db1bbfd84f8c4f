// The agent's configuration in typed form. schemas/agent-config.schema.json says what is allowed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "common/log.hpp"
#include "notp-client/agent/host/agent_host.hpp"
#include "notp-client/api/api_config.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "notp-client/pdp/folder_pdp.hpp"
#include "notp-client/pdp/opa_pdp.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp {

enum class PdpKind : uint8_t { kEmbedded, kOpa, kFolder };

struct ClientConfig {
  AgentHostOptions host;
  AgentOptions agent;
  TlsFiles tls;
  bool renew = false;  // the own certificate, over the session
  std::filesystem::path data_dir;
  std::filesystem::path root;
  std::filesystem::path port_file;  // empty: none
  ApiConfig api;
  PdpKind pdp = PdpKind::kEmbedded;
  EmbeddedOptions embedded;
  OpaOptions opa;
  FolderOptions folder;
  log::Level log_level = log::Level::kInfo;
  log::Format log_format = log::Format::kJson;
  // What SIGHUP does not change, as it was read, by the names of the file's top level.
  json::object fixed;

  // The secret that the agent's own OPA shows.
  std::filesystem::path opa_secret() const { return data_dir / "opa-token"; }

  // kConfig with a line for each mistake.
  static Result<ClientConfig> load(const std::filesystem::path& file,
                                   const Environment& environment);
};

}  // namespace notp
