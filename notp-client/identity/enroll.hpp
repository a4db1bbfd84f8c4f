// Enrols a node: turns a one-time token into an identity and a configuration on its disk.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "common/http/proxy.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::identity {

struct EnrollOptions {
  std::string token;
  std::filesystem::path folder;          // created if it is missing
  std::string address;                   // of the enrolment; empty: the token's
  std::string registry;                  // of sessions, for the configuration; empty: the token's
  std::vector<model::LedgerId> ledgers;  // for the configuration
  bool replace = false;                  // an existing identity
  http::ProxyConfig proxy;               // for the enrolment; also written to the configuration
  Environment environment;               // names a proxy where `proxy` does not
};

struct Enrolled {
  std::string identity;
  std::filesystem::path config;  // the agent's configuration file
  bool config_written = false;   // false: it existed, and is unchanged
  http::ProxyRoute route;        // the route used
};

// Returns the configuration file that enroll() writes in a folder.
std::filesystem::path config_file_of(const std::filesystem::path& folder);
// Whether enroll() has completed in the folder, and its configuration still exists.
bool is_joined(const std::filesystem::path& folder);

// Creates a key, joins, verifies the answer and writes node.pem (key and certificate, mode 0600),
// ca.crt, root.envelope and client.yaml. node.pem is written last: a folder that has one is
// complete. Blocking. kConflict when there is an identity already (the token is not used then),
// kUsage for the token, kJoinRefused, kRevoked, and the codes of connecting and of TLS.
Result<Enrolled> enroll(const EnrollOptions& options);

}  // namespace notp::identity
