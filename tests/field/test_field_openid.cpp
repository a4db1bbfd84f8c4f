// Policies that verify tokens of a real OpenID provider, by the commands and files of the example.
#include <doctest/doctest.h>
#include <yaml-cpp/yaml.h>

#include "tests/support/process/documented_commands.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/providers/openid_provider.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

const std::string kOrders = "100000000001/orders";
const std::string kLogin = "200000000001/login";

// The example's provider and zone are others than those of a test.
class OpenIdExample {
 public:
  OpenIdExample() : typist_(work(), work()) {
    fs::copy(example() / "orders", work() / "orders", fs::copy_options::recursive);
    fs::copy_file(stack.file("alice.cli.yaml"), config_folder() / "config.yaml");
    fs::copy_file(stack.root_file(), work() / "root.envelope");
    fs::copy_file(stack.file("root-key.key"), work() / "root-key.key");
    replace(work() / "orders/orders/authz.rego");
    replace(work() / "orders/orders/authz_test.rego");
    typist_.substitute("100000000001/", "100000000000/");
  }

  std::string type(std::string_view heading, size_t number) {
    return typist_.typed(block(heading, number));
  }
  // Types the command until it succeeds: a provider is not asked twice in 5 s.
  std::string type_until_done(const std::string& command) {
    CommandResult result;
    const bool done = wait_until([&] { return (result = typist_.type(command)).status == 0; });
    REQUIRE_MESSAGE(done, command << result.output);
    return result.output;
  }
  void substitute(std::string text, std::string with) {
    typist_.substitute(std::move(text), std::move(with));
  }
  // The example's section `sources`, of this provider.
  json::object sources() const {
    const YAML::Node section = YAML::LoadFile(example() / "registry.yaml")["sources"];
    const YAML::Node issuer = section["issuers"][0];
    REQUIRE(issuer["ledger"].as<std::string>() == kLogin);
    return {
        {"key", (work() / "source.key").string()},
        {"stale_after_s", section["stale_after_s"].as<int>()},
        {"expire_after_s", section["expire_after_s"].as<int>()},
        {"on_expired", section["on_expired"].as<std::string>()},
        {"issuers", json::array{json::object{
                        {"name", issuer["name"].as<std::string>()},
                        {"issuer", provider.issuer()},
                        {"ledger", kLogin},
                        {"ca", stack.authority_file().string()},
                        {"algorithms", json::array{issuer["algorithms"][0].as<std::string>(),
                                                   issuer["algorithms"][1].as<std::string>()}}}}}};
  }

  Stack stack;
  DrivenProvider provider{DrivenProvider::Kind::kOidcProvider, setup()};

 private:
  static std::string block(std::string_view heading, size_t number) {
    const auto blocks = documented_blocks(example() / "README.md", heading);
    REQUIRE(blocks.size() > number);
    return blocks[number];
  }
  static fs::path example() {
    return fs::path(std::getenv("NOTP_SOURCE")) / "tools/examples/openid";
  }
  fs::path work() const {
    must(make_folders(stack.file("work")));
    return stack.file("work");
  }
  fs::path config_folder() const {
    must(make_folders(work() / ".config/notp"));
    return work() / ".config/notp";
  }
  ProviderSetup setup() {
    pki::LeafOptions leaf = stack.leaf("registry", "login");
    leaf.dns_names = {"localhost"};
    const std::string stem = stack.issue("login-provider", stack.authority(), leaf);
    return {.name = "login",
            .folder = stack.folder(),
            .host = "localhost",
            .tls = {.certificate = stem + ".crt",
                    .key = stem + ".key",
                    .client_ca = {},
                    .ca = stack.authority_file()},
            .more = {}};
  }
  void replace(const fs::path& file) const {
    const std::string from = "https://login.core-platform.internal";
    std::string text = must(read_file(file, 1 << 20));
    for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += provider.issuer().size())
      text.replace(at, from.size(), provider.issuer());
    must(write_file(file, text));
  }

  Typist typist_;
};

bool allows(const Agent& agent, const std::string& method, const std::string& token) {
  return agent.decide("orders/allow", json::object{{"method", method}, {"token", token}}) ==
         json::value(true);
}

TEST_CASE("the example of an OpenID provider: its commands, its files, its policy") {
  OpenIdExample example;
  Stack& stack = example.stack;
  stack.grant("publisher", "trust");
  stack.write_registry_config();
  stack.start_registry();
  const std::string root = example.type("## Once: a ledger for the keys", 0);
  CHECK_MESSAGE(root.contains("Published root 1 -> 2"), root);
  stack.stop_registry();
  stack.registry_more["sources"] = example.sources();
  stack.write_registry_config();
  stack.start_registry();

  // The first fetch follows the start.
  REQUIRE(wait_until([&] {
    return text_at(stack.notp("alice", {"sources", "show", "login"}).document, "state") == "ok" &&
           stack.notp("alice", {"history", kLogin}).status == 0;
  }));
  const std::string listed = example.type("## The registry", 0);
  CHECK_MESSAGE(listed.contains(example.provider.issuer()), listed);
  CHECK_MESSAGE(listed.contains(example.provider.kids().front()), listed);
  CHECK_MESSAGE(listed.contains("v1"), listed);

  // README.md shows the same ones.
  const auto shown = documented_blocks(stack.source() / "README.md", "## Live trust data");
  REQUIRE(shown.size() == 1);
  for (const std::string& command : lines_of(shown.front())) {
    const std::string output = example.type_until_done(command);
    CHECK_MESSAGE(output.contains(example.provider.issuer()), command << output);
  }

  example.type("## The policy", 0);
  const Agent& agent =
      stack.start_agent({.name = "edge-1", .ledgers = {"100000000000/orders", kLogin}});
  REQUIRE(stack.becomes_active(agent, "100000000000/orders", 1));
  REQUIRE(stack.becomes_active(agent, kLogin, 1));
  const std::string token = example.provider.token();
  example.substitute("http://127.0.0.1:8282", agent.url());
  example.substitute("$TOKEN", token);
  const std::string answered = example.type("## The policy", 1);
  CHECK_MESSAGE(answered.contains("\"result\":true"), answered);
  REQUIRE(wait_until([&] { return allows(agent, "POST", token); }));

  example.provider.rotate();
  const std::string fresh = example.provider.token();
  REQUIRE(wait_until([&] { return allows(agent, "GET", fresh); }));
  CHECK(allows(agent, "GET", token));

  // Refused with the next fetch, which a command asks for.
  example.provider.retire();
  REQUIRE(wait_until([&] {
    return stack.notp("alice", {"sources", "refresh", "login"}).error_code() != "overloaded";
  }));
  REQUIRE(wait_until([&] { return !allows(agent, "GET", token); }));
  CHECK(allows(agent, "GET", fresh));
}

}  // namespace
}  // namespace notp
