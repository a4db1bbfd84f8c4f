// `--check` before a roll-out must report what the start or the peer would report.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>

#include "tests/support/process/command.hpp"
#include "tests/support/process/shared_authority.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kDayMs = 86'400'000;

CommandResult check(const Stack& stack, const std::string& program, const fs::path& config) {
  return run_command({stack.program(program), "--config", config, "--check"});
}

// An agent's configuration in the stack's folder that is valid except for the change by `bend`.
class Checked {
 public:
  CommandResult agent(const std::string& stem,
                      const std::function<void(json::object&)>& bend = {}) {
    json::object config{{"trust_domain", kStackDomain},
                        {"registry", stack.registry_address()},
                        {"data_dir", stack.file("checked.data").string()},
                        {"tls",
                         {{"certificate", stem + ".crt"},
                          {"key", stem + ".key"},
                          {"ca", stack.authority_file().string()}}},
                        {"root", stack.root_file().string()},
                        {"ledgers", json::array{kShop}},
                        {"listen", "127.0.0.1:0"}};
    if (bend) bend(config);
    must(write_file(stack.file("checked.yaml"), json::serialize(config)));
    return check(stack, "notp-client", stack.file("checked.yaml"));
  }
  CommandResult bent(const std::function<void(pki::LeafOptions&)>& bend) {
    pki::LeafOptions leaf = stack.leaf("node", "edge-1");
    bend(leaf);
    return agent(stack.issue("bent", stack.authority(), leaf));
  }

  Stack stack;
};

void is_refused(const CommandResult& result, std::initializer_list<std::string_view> words) {
  CHECK_MESSAGE(result.status == 2, result.output);
  for (const std::string_view word : words)
    CHECK_MESSAGE(result.output.contains(word), result.output);
}

}  // namespace

TEST_CASE("a certificate that a registry would refuse is refused before it is rolled out") {
  Checked checked;
  const TimeMs now = read_clock().wall_ms;
  const CommandResult good = checked.bent([](auto&) {});
  CHECK_MESSAGE(good.status == 0, good.output);
  CHECK(good.output.contains("the configuration is valid"));
  CHECK_FALSE(fs::exists(checked.stack.file("checked.data")));

  is_refused(checked.bent([](auto& leaf) { leaf.uris.clear(); }), {"bent.crt", "0 URI"});
  is_refused(checked.bent([](auto& leaf) { leaf.uris.push_back(leaf.uris[0] + "x"); }),
             {"bent.crt", "2 URI"});
  is_refused(checked.bent([](auto& leaf) { leaf.uris = {"spiffe://other.internal/node/edge-1"}; }),
             {"another trust domain"});
  is_refused(checked.bent([](auto& leaf) { leaf.uris = {spiffe("ns/prod/sa/edge")}; }),
             {"unknown role", "identities"});
  is_refused(checked.bent([](auto& leaf) { leaf.uris = {spiffe("node/region/x")}; }),
             {"unknown role"});
  is_refused(checked.bent([](auto& leaf) { leaf.uris = {spiffe("publisher/ci")}; }),
             {"has the role publisher where node is needed"});
  is_refused(checked.bent([](auto& leaf) { leaf.is_ca = true; }), {"CA certificate"});
  is_refused(checked.bent([](auto& leaf) { leaf.client_auth = false, leaf.server_auth = true; }),
             {"clientAuth"});
  is_refused(checked.bent([&](auto& leaf) { leaf.validity = {now - 2 * kDayMs, now - kDayMs}; }),
             {"ended at"});
  is_refused(checked.bent([&](auto& leaf) { leaf.validity = {now + kDayMs, now + 2 * kDayMs}; }),
             {"valid only from"});
  const CommandResult soon =
      checked.bent([&](auto& leaf) { leaf.validity = {now - 100 * kDayMs, now + kDayMs}; });
  CHECK(soon.status == 0);
  CHECK(soon.output.contains("warning"));

  const pki::Credential stranger =
      must(pki::make_authority("another CA", pki::Validity::days(now, 10)));
  is_refused(
      checked.agent(checked.stack.issue("foreign", stranger, checked.stack.leaf("node", "e"))),
      {"foreign.crt", "does not chain"});
}

TEST_CASE("a check says everything at once, and leaves a running agent alone") {
  Checked checked;
  Stack& stack = checked.stack;
  pki::LeafOptions leaf = stack.leaf("node", "edge-1");
  leaf.uris = {spiffe("ns/x")};
  leaf.validity = {read_clock().wall_ms - 2 * kDayMs, read_clock().wall_ms - kDayMs};
  const std::string stem = stack.issue("bad", stack.authority(), leaf);
  stack.issue("other", stack.authority(), stack.leaf("node", "other"));
  must(write_file(stack.file("damaged.root"), "no root"));
  must(write_file(stack.file("tokens"), "till sha256:00\n"));
  fs::permissions(stack.file("tokens"), fs::perms::others_read, fs::perm_options::add);
  must(write_file(stack.file("a-file"), ""));
  const CommandResult result = checked.agent(stem, [&](json::object& config) {
    config["tls"].as_object()["key"] = stack.file("pki/other.key").string();
    config["root"] = stack.file("damaged.root").string();
    config["data_dir"] = stack.file("a-file/data").string();
    config["pdp"] = json::object{{"worker", "/nonexistent/notp-pdp"}};
    config["api_token"] = stack.file("tokens").string();
  });
  is_refused(result, {"does not belong", "ended at", "unknown role", "damaged.root",
                      "is not a folder", "/nonexistent/notp-pdp", "tokens"});
  CHECK(result.output.contains("problems"));

  stack.start_registry();
  Agent& agent = stack.start_agent({.name = "edge-2", .ledgers = {kShop}});
  for (int i = 0; i < 3; ++i) {
    const CommandResult running = check(stack, "notp-client", agent.config_file());
    CHECK_MESSAGE(running.status == 0, running.output);
    const CommandResult registry = check(stack, "notp-server", stack.file("registry.yaml"));
    CHECK_MESSAGE(registry.status == 0, registry.output);
  }
  CHECK(agent.is_running());
}

TEST_CASE("what a check of the registry refuses its start refuses, in the same words") {
  Stack stack;
  stack.registry_more["enroll"] =
      json::object{{"listen", "0.0.0.0:0"},
                   {"authority_certificate", stack.authority_file().string()},
                   {"authority_key", stack.file("pki/main.key").string()}};
  stack.registry_more["listen"] = "[::]:0";
  stack.registry_more["deny_list"] = "999999999999/nobodys";
  stack.write_registry_config(stack.file("pki/alice"));
  const CommandResult checked = check(stack, "notp-server", stack.file("registry.yaml"));
  is_refused(checked,
             {"enroll.address", "enroll.registry", "issuer's key", "serverAuth", "deny_list"});
  const CommandResult started =
      run_command({stack.program("notp-server"), "--config", stack.file("registry.yaml")});
  CHECK(started.status != 0);
  for (const char* word : {"enroll.address", "enroll.registry", "serverAuth"})
    CHECK_MESSAGE(started.output.contains(word), started.output);
}

TEST_CASE("an address to listen on is never given to a node to connect to") {
  Stack stack;
  stack.grant("admin", "enroll");
  json::object enroll{{"listen", "127.0.0.1:0"},
                      {"authority_certificate", stack.authority_file().string()},
                      {"authority_key", stack.file("pki/ca.key").string()}};
  const auto refused = [&](const std::string& listen, json::object more, std::string_view key) {
    json::object section = enroll;
    for (const auto& [name, value] : more) section[name] = value;
    stack.registry_more["listen"] = listen;
    stack.registry_more["enroll"] = section;
    stack.write_registry_config();
    const CommandResult checked = check(stack, "notp-server", stack.file("registry.yaml"));
    CHECK_MESSAGE(checked.status == 2, listen, " ", checked.output);
    CHECK_MESSAGE(checked.output.contains(key), checked.output);
  };
  const std::string own = stack.registry_address();
  refused("0.0.0.0:7443", {}, "enroll.registry");
  refused("[::]:7443", {}, "enroll.registry");
  refused("[::ffff:0.0.0.0]:7443", {}, "enroll.registry");
  refused(own, {{"listen", "0.0.0.0:0"}}, "enroll.address");
  refused(own, {{"address", "0.0.0.0:7444"}}, "enroll.address");
  refused(own, {{"address", "0:7444"}}, "enroll.address");
  refused(own, {{"registry", "[::]:7443"}}, "enroll.registry");
  refused(own, {{"registry", "registry.internal:0"}}, "enroll.registry");

  stack.registry_more["listen"] = fmt::format("0.0.0.0:{}", stack.registry_port());
  enroll["address"] = "registry.internal:7444";
  enroll["registry"] = "registry.internal:7443";
  stack.registry_more["enroll"] = enroll;
  stack.write_registry_config();
  stack.start_registry();
  const CliResult good =
      stack.notp("eve", {"node", "enroll", "edge-9", "--address", "10.0.0.7:7444",
                         "--registry-address", "10.0.0.7:7443"});
  CHECK_MESSAGE(good.status == 0, good.error);
  CHECK(stack.notp("eve", {"node", "enroll", "edge-8", "--address", "0.0.0.0:7444"}).status == 2);
}

}  // namespace notp
