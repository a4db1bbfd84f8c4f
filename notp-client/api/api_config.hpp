// The agent's listeners and access rules, from the configuration. All of it is reloaded on SIGHUP.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config_section.hpp"
#include "common/http/endpoint.hpp"
#include "notp-client/api/access.hpp"

namespace notp::api {

struct ApiConfig {
  std::optional<http::TcpEndpoint> listen;         // nullopt: "none"
  std::optional<http::UnixEndpoint> listen_unix;   // nullopt: absent
  std::optional<http::TlsEndpoint> listen_tls;     // nullopt: absent
  std::optional<http::TcpEndpoint> health_listen;  // nullopt: absent
  std::filesystem::path api_token;                 // empty: no tokens
  std::vector<PepRule> peps;
  std::vector<std::string> hosts;
  size_t body_bytes_max = 0, gzip_body_bytes_max = 0;
  size_t connections_max = 0;
  std::vector<std::string> default_decision;  // segments below data
  std::vector<std::string> authzen_path;      // segments below data

  // The top-level keys that are read here.
  static constexpr std::array<std::string_view, 10> kKeys = {
      "listen", "listen_unix", "listen_tls", "health_listen",    "api_token",
      "peps",   "hosts",       "limits",     "default_decision", "authzen"};

  // Reads the whole configuration. kConfig with a line for each mistake.
  static Result<ApiConfig> load(const config::Section& root, const std::string& trust_domain);

  // Reads the token file in its current state. kConfig.
  Result<AccessRules> access_rules(const std::string& trust_domain) const;
};

}  // namespace notp::api
