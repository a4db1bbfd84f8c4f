// A control of the suite "txn": Keycloak in its development mode, which exchanges access tokens of
// its own realm by the standard token exchange (RFC 8693).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "tools/bench/child.hpp"
#include "tools/bench/load_stream.hpp"

namespace notp::bench {

struct KeycloakFiles {
  std::filesystem::path home;              // what tools/build-openid --keycloak prints
  std::filesystem::path folder;            // new: it runs a copy
  std::filesystem::path certificate, key;  // of its TLS listener
};

class KeycloakArm {
 public:
  // Returns once it exchanges; its start takes a minute or two. kUnavailable with its log.
  static Result<std::unique_ptr<KeycloakArm>> start(KeycloakFiles files);

  // HTTP requests for an exchange, each of another session of its user.
  Result<std::vector<Bytes>> requests(size_t count) const;
  PdpAddress address(const LoadTls& tls) const;
  pid_t pid() const { return process_->pid(); }
  std::string version() const;
  Result<void> stop();

 private:
  explicit KeycloakArm(KeycloakFiles files) : files_(std::move(files)) {}
  Result<void> run_copy();
  Result<void> make_realm() const;
  Result<json::value> ask(const std::string& path, std::string body, std::string type,
                          const std::string& bearer) const;
  Result<std::string> log_in(const std::string& realm, const std::string& form) const;

  const KeycloakFiles files_;
  uint16_t port_ = 0, tls_port_ = 0;
  std::optional<Child> process_;
};

}  // namespace notp::bench
