// A provider that gives its keys only to those that it knows: the registry authenticates, and the
// token that it gets is bound to a key of its own.
#include <doctest/doctest.h>

#include <filesystem>

#include "common/jose/signing_key.hpp"
#include "tests/support/providers/keys_site.hpp"

namespace notp {
namespace {

jose::SigningKey write_key(const std::filesystem::path& file) {
  jose::SigningKey key = must(jose::SigningKey::generate(jose::Algorithm::kEs256));
  must(write_file(file, must(key.pem()), 0600));
  return key;
}

TEST_CASE(
    "the keys of a provider that wants a bound access token arrive, rotate, and say why not") {
  KeysSite site;
  const auto key_file = site.stack.file("registry-oauth.pem");
  const jose::SigningKey key = write_key(key_file);
  write_key(site.stack.file("dpop.pem"));
  ProviderSetup setup = site.setup();
  setup.more = {{"protected", true},
                {"require_nonce", true},
                {"clients",
                 {{{"client_id", "app"}, {"client_secret", "app-secret"}},
                  {{"client_id", "registry"},
                   {"token_endpoint_auth_method", "private_key_jwt"},
                   {"token_endpoint_auth_signing_alg", "ES256"},
                   {"dpop_bound_access_tokens", true},
                   {"jwks", {{"keys", json::array{key.public_jwk("registry").canonical()}}}}}}}};
  DrivenProvider provider(DrivenProvider::Kind::kOidcProvider, std::move(setup));
  site.start(provider, {{"auth",
                         {{"method", "private_key_jwt"},
                          {"client_id", "registry"},
                          {"token_endpoint", provider.issuer() + "/token"},
                          {"key_file", key_file.string()},
                          {"scope", "keys"},
                          {"dpop_key_file", site.stack.file("dpop.pem").string()}}}});
  const Agent& agent = site.start_agent({.name = "edge-1", .ledgers = {}});
  site.becomes_ready(agent);
  CHECK(allows(agent, provider.token()));

  // The kept token is signed by a key that is not published any more: it is replaced on the way.
  provider.rotate();
  provider.retire();
  const std::string fresh = provider.token();
  REQUIRE(wait_until([&] { return allows(agent, fresh); }));

  std::filesystem::rename(key_file, site.stack.file("kept.pem"));
  write_key(key_file);
  provider.rotate();
  provider.retire();
  site.refresh();
  REQUIRE(wait_until([&] { return text_at(site.source(), "state") == "late"; }));
  const std::string row = json::serialize(site.source());
  CHECK_MESSAGE(
      row.find("the token endpoint refuses with status 401, invalid_client") != std::string::npos,
      row);
  CHECK(allows(agent, fresh));

  std::filesystem::rename(site.stack.file("kept.pem"), key_file);
  const std::string newest = provider.token();
  site.refresh();
  REQUIRE(wait_until([&] { return allows(agent, newest); }));
  REQUIRE(wait_until([&] { return text_at(site.source(), "state") == "ok"; }));
}

}  // namespace
}  // namespace notp
