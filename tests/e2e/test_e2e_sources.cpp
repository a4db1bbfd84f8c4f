// The keys of real OpenID providers, from the provider to decisions about its tokens.
#include <doctest/doctest.h>

#include "tests/support/providers/keys_site.hpp"

namespace notp {
namespace {

using Kind = DrivenProvider::Kind;

const std::string kIssuerStatus = "system/notp/sources/issuers/login";

std::string issuer_state(const Agent& agent) {
  const auto status = agent.decide(kIssuerStatus, json::object());
  return status ? text_at(*status, "state") : std::string();
}

// The same claims under a signature of its own: its last byte but two is another.
std::string forged(std::string token) {
  char& changed = token[token.size() - 3];
  changed = changed == 'A' ? 'B' : 'A';
  return token;
}

// A new key is accepted at once and the others stay; what the provider takes back is refused.
void follow_rotation(KeysSite& site, DrivenProvider& provider) {
  const Agent& agent = site.start_agent({.name = "edge-1", .ledgers = {}});
  site.becomes_ready(agent);
  const std::string old = provider.token();
  CHECK(allows(agent, old));
  CHECK_FALSE(allows(agent, forged(old)));
  CHECK(provider.key_set_requests() == 1);

  provider.rotate();
  const std::string fresh = provider.token();
  REQUIRE(wait_until([&] { return allows(agent, fresh); }));
  CHECK(allows(agent, old));
  // The node's report was the reason, and it was one fetch.
  CHECK(provider.key_set_requests() == 2);
  CHECK(number_at(site.source(), "unknown_keys") >= 1);
  REQUIRE(site.stack.becomes_active(agent, kLoginKeys, 2));

  provider.retire();
  site.refresh();
  REQUIRE(wait_until([&] { return !allows(agent, old); }));
  CHECK(allows(agent, fresh));
  CHECK(provider.key_set_requests() == 3);
  REQUIRE(wait_until([&] { return issuer_state(agent) == "ok"; }));
}

}  // namespace

TEST_CASE("a new key of oidc-provider is accepted without a command, one that is gone is refused") {
  KeysSite site;
  DrivenProvider provider(Kind::kOidcProvider, site.setup(site.tls()));
  REQUIRE(provider.issuer().starts_with("https://"));
  site.start(provider);
  follow_rotation(site, provider);
}

TEST_CASE(
    "a new key of the provider in Go is accepted without a command, one that is gone is refused") {
  KeysSite site;
  DrivenProvider provider(Kind::kZitadel, site.setup());
  site.start(provider);
  follow_rotation(site, provider);
}

TEST_CASE("while a provider is down its last keys decide, and policies can see it") {
  KeysSite site;
  DrivenProvider provider(Kind::kOidcProvider, site.setup());
  site.start(provider);
  Agent& agent = site.start_agent({.name = "edge-1", .ledgers = {}});
  site.becomes_ready(agent);
  REQUIRE(wait_until([&] { return issuer_state(agent) == "ok"; }));
  const std::string token = provider.token();
  provider.stop();

  site.refresh();
  REQUIRE(wait_until([&] { return text_at(site.source(), "state") == "late"; }));
  REQUIRE(wait_until([&] { return issuer_state(agent) == "late"; }));
  CHECK(allows(agent, token));

  // Without the registry, and after a restart, too; what it said of the issuer is not kept.
  site.stack.kill_registry();
  agent.kill();
  agent.start();
  site.becomes_ready(agent);
  CHECK(allows(agent, token));
  CHECK_FALSE(agent.decide(kIssuerStatus, json::object()).has_value());

  // Another process of the provider has another key: the token of the lost one is refused.
  provider.start();
  const std::string fresh = provider.token();
  site.stack.start_registry();
  REQUIRE(wait_until([&] { return allows(agent, fresh); }));
  CHECK_FALSE(allows(agent, token));
  REQUIRE(wait_until([&] { return issuer_state(agent) == "ok"; }));
}

// An OPA reports no key that it does not know: new keys reach it with the next fetch, whoever
// causes that.
TEST_CASE("an OPA beside an agent has new keys with the next fetch") {
  KeysSite site;
  DrivenProvider provider(Kind::kOidcProvider, site.setup());
  site.start(provider);
  Opa opa(site.stack, free_port());
  const Agent& fed =
      site.start_agent({.name = "edge-2", .ledgers = {}, .pdp = "opa", .opa_port = opa.port()});
  opa.start(fed);
  site.becomes_ready(fed);
  const std::string old = provider.token();
  CHECK(allows(opa, old));

  provider.rotate();
  const std::string fresh = provider.token();
  CHECK_FALSE(allows(opa, fresh));
  site.refresh();
  REQUIRE(site.stack.becomes_active(fed, kLoginKeys, 2));
  CHECK(allows(opa, fresh));
  CHECK(allows(opa, old));
  CHECK(number_at(site.source(), "unknown_keys") == 0);
}

}  // namespace notp
