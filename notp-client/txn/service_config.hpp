// The object `service` of the section `txn` of the agent's configuration.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/config_section.hpp"
#include "common/http/listen_config.hpp"
#include "common/jose/algorithm.hpp"
#include "notp-client/txn/introspection_config.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/model/spiffe_id.hpp"

namespace notp::txn {

// An issuer whose tokens may be subject tokens.
struct SubjectIssuer {
  std::string issuer;                   // iss, byte for byte
  std::string keys;                     // data.keys.<keys> has its keys
  std::string audience;                 // one of aud
  std::vector<std::string> types;       // "access_token", "id_token", "jwt"
  std::vector<std::string> access_typ;  // "at+jwt", "JWT"
  std::vector<jose::Algorithm> algorithms;
  std::optional<IntrospectionConfig> introspection;  // nullopt: it is not asked
};

struct KeysConfig {
  std::filesystem::path folder;  // of the key ring alone: it removes what is not its own
  std::string name;              // of the issuer at the registry
  model::LedgerId ledger;        // to which the registry publishes them
  TimeMs rotate_ms = 0;          // the life of a key as the one that signs
  jose::Algorithm algorithm = jose::Algorithm::kEs256;
};

struct ServiceLimits {
  size_t per_second = 0, at_once = 0;  // requests of one client
  size_t connections = 0;
  size_t grants = 0;
};

struct ServiceConfig {
  std::string trust_domain;
  http::ListenConfig listen;
  std::string issuer;
  std::string audience;
  std::filesystem::path folder;  // of the service alone: grants
  KeysConfig keys;
  std::string policy;  // data path, as in txn/issue
  std::vector<SubjectIssuer> subjects;
  std::optional<model::LedgerId> deny_list;
  std::vector<model::SpiffePattern> admins;
  bool replaces_tokens = false;
  bool takes_assertions = false;  // of clients: private_key_jwt
  ServiceLimits limits;
};

// Reads the whole configuration. nullopt: this agent issues nothing. kConfig: a key that cannot be
// as it is, a kind of PDP that cannot decide here, a ledger that the agent does not have.
Result<std::optional<ServiceConfig>> load_service(const config::Section& root);

}  // namespace notp::txn
