// A registry that fetches the keys of OpenID providers, and a policy that verifies their tokens.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/providers/openid_provider.hpp"
#include "tests/support/registry/model_folder.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

inline const std::string kOrders = "100000000000/orders";
inline const std::string kLoginKeys = "200000000000/login";
inline const std::string kOrdersAllow = "orders/allow";

// The provider's keys are at data.keys.login, in a ledger of their own that only the registry's
// source key may publish, and only with keys.
class KeysSite {
 public:
  KeysSite() {
    run({"keygen", "--out", stack.file("source")});
    delegate_keys();
    stack.grant("admin", "publish");
  }

  // A certificate for 127.0.0.1 of the stack's authority.
  ProviderTls tls() {
    pki::LeafOptions leaf = stack.leaf("registry", "login");
    leaf.addresses = {"127.0.0.1"};
    const std::string stem = stack.issue("login-provider", stack.authority(), leaf);
    return {.certificate = stem + ".crt",
            .key = stem + ".key",
            .client_ca = stack.authority_file(),
            .ca = stack.authority_file()};
  }

  ProviderSetup setup(ProviderTls tls = {}) const {
    return {.name = "login",
            .folder = stack.folder(),
            .host = "127.0.0.1",
            .tls = std::move(tls),
            .more = {}};
  }

  // Starts the registry with the provider as its source "login". `more`: further properties of the
  // source.
  void start_registry(const std::string& issuer, json::object more = {}) {
    json::object source{{"name", "login"}, {"issuer", issuer}, {"ledger", kLoginKeys}};
    if (issuer.starts_with("https"))
      source["ca"] = stack.authority_file().string();
    else
      source["insecure_loopback"] = true;
    for (auto& [name, value] : more) source[name] = std::move(value);
    stack.registry_more["sources"] = json::object{{"key", stack.file("source.key").string()},
                                                  {"issuers", json::array{std::move(source)}}};
    stack.write_registry_config();
    stack.start_registry();
  }
  // The same, and publishes the policy.
  void start(const OpenIdProvider& provider, json::object more = {}) {
    start_registry(provider.issuer(), std::move(more));
    REQUIRE(stack.published(write_policy(provider.issuer()), kOrders) == 1);
  }

  // The folder of the policy that accepts tokens of this issuer.
  std::filesystem::path write_policy(const std::string& issuer) const {
    const std::filesystem::path folder = stack.file("models/orders");
    empty_model_folder(folder);
    must(make_folders(folder / "orders"));
    must(write_file(folder / "manifest.json", R"({"metadata": {"name": "orders"},
        "runtimes": {"rego": {"language": {"name": "rego", "version": "1"}}},
        "partitions": {"/": {"runtime": "rego"}}, "roots": ["orders"]})"));
    must(write_file(folder / "orders/policy.rego", fmt::format(R"(package orders

default allow := false

allow if claims.exp > 0

claims := payload if {{
	[valid, _, payload] := io.jwt.decode_verify(input.token, {{
		"cert": json.marshal(data.keys.login),
		"iss": "{}",
		"aud": "orders",
	}})
	valid
}}
)",
                                                               issuer)));
    return folder;
  }

  Agent& start_agent(AgentSetup setup) {
    setup.ledgers = {kOrders, kLoginKeys};
    return stack.start_agent(std::move(setup));
  }

  // Waits until the agent decides with the policy and some keys.
  void becomes_ready(const Agent& agent) const {
    REQUIRE(wait_until([&] {
      return agent.has_active(kOrders, 1) &&
             number_at(agent.ledger_status(kLoginKeys), "active_version") >= 1;
    }));
  }

  // The row of `notp sources show`.
  json::value source() {
    const CliResult shown = stack.notp("eve", {"sources", "show", "login"});
    REQUIRE_MESSAGE(shown.status == 0, shown.error);
    return shown.document;
  }
  // Asks for a fetch, repeatedly while the registry has made one a moment ago.
  CliResult refresh() {
    CliResult refreshed;
    REQUIRE(wait_until([&] {
      refreshed = stack.notp("eve", {"sources", "refresh", "login"});
      return refreshed.error_code() != "overloaded";
    }));
    return refreshed;
  }

  Stack stack;

 private:
  void run(std::vector<std::string> arguments) {
    const CliResult result = stack.notp({}, std::move(arguments));
    REQUIRE_MESSAGE(result.status == 0, result.error);
  }

  // The root that everybody pins has the source key, for keys alone.
  void delegate_keys() {
    const auto first = stack.root_file(), next = stack.file("root-with-keys.envelope");
    run({"root", "add-key", first, "--role", "publisher", "--pattern", kLoginKeys, "--key",
         stack.file("source.pub"), "--content", "keys", "--data-root", "keys/login", "--out",
         next});
    run({"root", "sign", next, "--key", stack.file("root-key.key"), "--previous", first, "--yes"});
    std::filesystem::rename(next, first);
  }
};

// What a decision says of a token; false also when it is undefined.
template <typename Node>
bool allows(const Node& node, const std::string& token) {
  return node.decide(kOrdersAllow, json::object{{"token", token}}) == json::value(true);
}

}  // namespace notp
