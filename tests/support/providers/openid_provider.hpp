// OpenID providers of others, run by a test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/http/client.hpp"
#include "common/json/json.hpp"
#include "tests/support/process/process.hpp"

namespace notp {

// PEM files. Without a certificate the provider speaks plain HTTP, on loopback as always.
struct ProviderTls {
  std::filesystem::path certificate, key;
  std::filesystem::path client_ca;  // of clients' certificates; empty: it asks for none
  std::filesystem::path ca;         // with which this test trusts the provider
};

struct ProviderSetup {
  std::string name = "login";  // of its files in the folder
  std::filesystem::path folder;
  std::string host = "127.0.0.1";  // in the issuer
  ProviderTls tls;
  json::object more;  // further members of its configuration: see tools/openid/provider.mjs
};

// One running provider with a client "app" that gets JWTs as access tokens, for the audience
// "orders". Every call throws when the provider does not do what it is asked.
class OpenIdProvider {
 public:
  virtual ~OpenIdProvider() = default;
  OpenIdProvider(const OpenIdProvider&) = delete;
  OpenIdProvider& operator=(const OpenIdProvider&) = delete;

  const std::string& issuer() const { return issuer_; }
  // An access token that it signs now.
  std::string token() const;
  // Signs with a new key from now on, and publishes it beside the earlier ones.
  virtual void rotate() = 0;
  // Publishes no key but the one that signs.
  virtual void retire() = 0;
  // Ends it; start() starts it on the same port.
  void stop() { process_.reset(); }
  virtual void start() = 0;
  // Its key set, as it publishes it.
  json::value key_set() const { return get(jwks_uri_); }
  // The kids of its signing keys there.
  std::vector<std::string> kids() const;

 protected:
  explicit OpenIdProvider(ProviderSetup setup);

  // Reads the endpoints from the provider; waits until it answers.
  void discover();
  http::Response call(http::Call call) const;
  json::value get(const std::string& url) const;
  // A response of status 200 to a form (RFC 6749 §4).
  json::value post_form(const std::string& url, const std::string& form,
                        const http::Headers& headers) const;

  ProviderSetup setup_;
  std::unique_ptr<Process> process_;
  std::string issuer_;

 private:
  http::Client client_;
  std::string token_endpoint_, jwks_uri_;
};

using ProviderPtr = std::unique_ptr<OpenIdProvider>;

// A program of tools/openid, with its commands. A key that it had is lost with its process.
class DrivenProvider : public OpenIdProvider {
 public:
  enum class Kind : uint8_t { kOidcProvider, kZitadel };
  // Starts it.
  DrivenProvider(Kind kind, ProviderSetup setup);

  void rotate() override { command("POST", "/rotate"); }
  void retire() override { command("POST", "/retire"); }
  void start() override;
  // How often the path of a request ended with this, such as "/jwks", since its start.
  int64_t requests(std::string_view end) const;
  // Of its key set.
  int64_t key_set_requests() const;
  // Of oidc-provider: an access token of the account "ada", and its end (RFC 7009).
  std::string login() const;
  void revoke(const std::string& token) const;

 private:
  json::value command(const std::string& method, const std::string& path) const;

  const Kind kind_;
  int64_t port_ = 0, control_ = 0;
};

}  // namespace notp
