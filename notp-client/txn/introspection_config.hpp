// The object `introspection` of an issuer of subject tokens.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/config_section.hpp"
#include "common/http/client.hpp"
#include "common/oauth/client_auth.hpp"

namespace notp::txn {

// How an issuer is asked about its tokens (RFC 7662).
struct IntrospectionConfig {
  std::string issuer;  // of the tokens; the audience of client assertions
  std::string url;     // of the endpoint; written by a person
  bool insecure_loopback = false;
  oauth::ClientAuthConfig auth;
  std::filesystem::path ca;  // of the endpoint; empty: the system's
  std::vector<Hash> pins;    // as in http::ClientTlsFiles
  http::ProxyConfig proxy;
  bool is_for_opaque = false;
  TimeMs cache_ms = 0;  // for which an answer counts
  TimeMs timeout_ms = 2'000;
  size_t at_once = 32;  // questions under way

  oauth::Server server() const { return {issuer, insecure_loopback}; }
};

// kConfig: a URL that is not https, a pin that cannot be read, what load_client_auth() refuses.
Result<IntrospectionConfig> load_introspection(const config::Section& section, std::string issuer,
                                               http::ProxyConfig proxy);

}  // namespace notp::txn
