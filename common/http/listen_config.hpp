// An HTTPS listener as configurations describe it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/config_section.hpp"
#include "common/http/endpoint.hpp"
#include "common/result.hpp"

namespace notp::http {

struct ListenConfig {
  TlsEndpoint endpoint;             // asks clients for a certificate, and needs none
  std::vector<std::string> hosts;   // that requests may ask for; empty: any
  std::filesystem::path port_file;  // empty: none
};

// Reads address (an IP address, maybe with a port), certificate, key, client_ca, and, if they are
// there, hosts, port_file and allow_p384. kConfig.
Result<ListenConfig> load_listen(const config::Section& section, uint16_t default_port);

}  // namespace notp::http
