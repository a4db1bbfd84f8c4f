// A node joins: from a one-time token to an identity and a configuration on its disk.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "common/http/proxy.hpp"
#include "protocol/model/ledger.hpp"

namespace notp {

struct EnrollOptions {
  std::string token;
  std::filesystem::path folder;   // created when it is not there
  std::string address;            // of the enrolment; empty: the token's
  std::string registry;           // of sessions, for the configuration; empty: the token's
  std::vector<LedgerId> ledgers;  // for the configuration
  bool replace = false;           // an identity that is there already
  http::ProxyConfig proxy;        // on the way to the enrolment; also for the configuration
  Environment environment;        // names a proxy where `proxy` does not
};

struct Enrolled {
  std::string identity;
  std::filesystem::path config;  // the agent's configuration file
  bool config_written = false;   // false: it was there, and stays as it is
  http::ProxyRoute route;        // that was taken
};

// The configuration that enroll() writes into a folder.
std::filesystem::path config_file_of(const std::filesystem::path& folder);
// Whether enroll() has come to its end there, and its configuration is still there.
bool is_joined(const std::filesystem::path& folder);

// Makes a key, joins, checks what came and writes node.pem (key and certificate, mode 0600),
// ca.crt, root.envelope and client.yaml. node.pem comes last: a folder that has one is complete.
// Blocking. kConflict when there is an identity already (the token is not used then), kUsage for
// the token, kJoinRefused, kRevoked, and those of connecting and of TLS.
Result<Enrolled> enroll(const EnrollOptions& order);

}  // namespace notp
