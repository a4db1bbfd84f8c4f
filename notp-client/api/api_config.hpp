// Where the agent listens and who may ask, from the configuration. Everything here takes effect
// again on SIGHUP.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config_section.hpp"
#include "common/http/endpoint.hpp"
#include "notp-client/api/access.hpp"

namespace notp {

struct ApiConfig {
  std::optional<http::TcpEndpoint> listen;         // nothing: "none"
  std::optional<http::UnixEndpoint> listen_unix;   // nothing: absent
  std::optional<http::TlsEndpoint> listen_tls;     // the same
  std::optional<http::TcpEndpoint> health_listen;  // the same
  std::filesystem::path api_token;                 // empty: no tokens
  std::vector<PepRule> peps;
  std::vector<std::string> hosts;
  size_t body_bytes_max = 0, gzip_body_bytes_max = 0;
  size_t connections_max = 0;
  std::vector<std::string> default_decision;  // segments below data
  std::vector<std::string> authzen_path;      // the same

  // The keys that are read here, at the top level.
  static constexpr std::array<std::string_view, 10> kKeys = {
      "listen", "listen_unix", "listen_tls", "health_listen",    "api_token",
      "peps",   "hosts",       "limits",     "default_decision", "authzen"};

  // From the whole configuration. kConfig with a line for each mistake.
  static Result<ApiConfig> load(const config::Section& root, const std::string& trust_domain);

  // With the tokens of their file as it is now. kConfig.
  Result<AccessRules> access_rules(const std::string& trust_domain) const;
};

}  // namespace notp
