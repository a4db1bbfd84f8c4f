// Keycloak in its development mode, operated through its admin API.
#pragma once

#include "tests/support/providers/openid_provider.hpp"

namespace notp {

// Has a realm "notp" of its own, in memory. `home`: what `tools/build-openid --keycloak` prints; a
// copy of it is run. Its start takes a minute or two.
class Keycloak : public OpenIdProvider {
 public:
  // `with_events`: it is a transmitter of security events (SSF) to the client "receiver", and has a
  // user "ana".
  Keycloak(ProviderSetup setup, const std::filesystem::path& home, bool with_events = false);

  // Adds a key of a higher priority, with which it signs at once.
  void rotate() override;
  void retire() override;
  // A key that it had is lost with its process.
  void start() override;

  // --- of a transmitter: what ana does, and what is done to her
  struct UserSession {
    std::string access_token, refresh_token;
  };
  // Logs her in, for the audience "orders".
  UserSession log_in() const;
  void log_out(const UserSession& session) const;
  void end_all_sessions() const;
  // An administrator sets a new password.
  void set_password();
  // RFC 7009.
  void revoke(const std::string& token) const;

 private:
  std::string url(std::string_view path) const;
  std::string admin_token() const;
  // A request to the admin API; an empty document has no body. Null: the answer is empty.
  json::value admin(const std::string& method, const std::string& path,
                    const json::value& document = {}) const;
  void make_realm() const;
  std::string password() const;
  std::string path_of_user() const;  // below the admin API
  http::Response post_as_app(const std::string& endpoint, const std::string& form) const;

  const int port_;
  const std::filesystem::path home_;
  const bool with_events_;
  int64_t priority_ = 100;  // of its newest key
  int64_t passwords_ = 1;   // that ana has had
};

}  // namespace notp
