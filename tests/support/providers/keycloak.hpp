// Keycloak in its development mode, operated through its admin API.
#pragma once

#include "tests/support/providers/openid_provider.hpp"

namespace notp {

// Has a realm "notp" of its own, in memory. `home`: what `tools/build-openid --keycloak` prints; a
// copy of it is run. Its start takes a minute or two.
class Keycloak : public OpenIdProvider {
 public:
  Keycloak(ProviderSetup setup, const std::filesystem::path& home);

  // Adds a key of a higher priority, with which it signs at once.
  void rotate() override;
  void retire() override;
  // A key that it had is lost with its process.
  void start() override;

 private:
  std::string url(std::string_view path) const;
  std::string admin_token() const;
  // A request to the admin API; an empty document has no body. Null: the answer is empty.
  json::value admin(const std::string& method, const std::string& path,
                    const json::value& document = {}) const;
  void make_realm() const;

  const int port_;
  const std::filesystem::path home_;
  int64_t priority_ = 100;  // of its newest key
};

}  // namespace notp
