// The section `sources` of the registry's configuration.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config_section.hpp"
#include "common/crypto/digest.hpp"
#include "common/oauth/client_auth.hpp"
#include "notp-server/sources/key_fetch.hpp"
#include "notp-server/sources/key_publisher.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::sources {

struct IssuerConfig {
  std::string name;  // its folder below keys/
  model::LedgerId ledger;
  FetchTerms terms;
  std::filesystem::path ca;  // of its hosts; empty: the system's
  std::vector<Hash> pins;    // as in http::ClientTlsFiles
  // For its key set; nullopt: it is asked for without an access token.
  std::optional<oauth::ClientAuthConfig> auth = std::nullopt;

  oauth::Server server() const {
    return {.issuer = terms.urls.issuer, .insecure_loopback = terms.urls.insecure_loopback};
  }
};

struct SourcesConfig {
  std::filesystem::path key;  // signs the releases
  ReleaseTerms terms;
  std::vector<IssuerConfig> issuers;  // by name, ascending, each once
};

// kConfig: an issuer that check_issuer() refuses, a pin that cannot be read, what
// load_client_auth() refuses, a token endpoint that is not https, two issuers of one name. nullopt:
// there is no such section.
Result<std::optional<SourcesConfig>> load_sources(const config::Section& root);

}  // namespace notp::sources
