// A site with outgoing connections only by CONNECT through its proxy: the agent, the CLI and the
// enrolment use it, by configuration or by the usual variables, and log that.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/process/shop_model.hpp"
#include "tests/support/wire/fake_proxy.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

// A real proxy, which allows connections to known ports only.
class Tinyproxy {
 public:
  Tinyproxy(Stack& stack, const std::vector<int>& ports, const std::string& user_and_password = {})
      : port_(free_port()), log_(stack.file(fmt::format("proxy-{}.log", port_))) {
    std::string config = fmt::format(
        "Port {}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nLogLevel Info\nLogFile \"{}\"\n",
        port_, log_.string());
    for (const int port : ports) config += fmt::format("ConnectPort {}\n", port);
    if (!user_and_password.empty()) config += fmt::format("BasicAuth {}\n", user_and_password);
    const fs::path file = stack.file(fmt::format("proxy-{}.conf", port_));
    must(write_file(file, config));
    process_.emplace(ProcessOptions{.command = {"tinyproxy", "-d", "-c", file},
                                    .folder = stack.folder(),
                                    .environment = {},
                                    .output_file = stack.file("proxy.out"),
                                    .error_file = stack.file("proxy.err")});
    if (!wait_until([&] { return read_text(log_).contains("Accepting connections"); }))
      throw std::runtime_error("tinyproxy does not start: " + process_->error());
  }
  std::string url(const std::string& user = {}) const {
    return fmt::format("http://{}127.0.0.1:{}", user.empty() ? user : user + "@", port_);
  }
  bool connected_to(const std::string& target) const {
    return read_text(log_).contains("CONNECT " + target);
  }

 private:
  const int port_;
  const fs::path log_;
  std::optional<Process> process_;
};

std::string route_of(const Agent& agent) { return text_at(agent.status(), "route"); }

TEST_CASE("agent and CLI reach the registry through the proxy of their configurations") {
  Stack stack;
  stack.start_registry();
  const fs::path shop = write_shop_model(stack);
  const Tinyproxy proxy(stack, {stack.registry_port()}, "edge s3cret");
  must(write_file(stack.file("password"), "s3cret\n", 0600));
  const json::object by_config{{"proxy", proxy.url("edge")},
                               {"proxy_password_file", stack.file("password").string()}};

  json::object cli = must(parse_json(read_text(stack.file("alice.cli.yaml")))).as_object();
  for (const auto& [name, value] : by_config) cli[name] = value;
  must(write_file(stack.file("alice.cli.yaml"), json::serialize(cli)));
  CHECK(stack.published(shop, kShop) == 1);
  CHECK(proxy.connected_to(stack.registry_address()));

  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}, .more = by_config});
  REQUIRE(stack.becomes_active(agent, kShop, 1));
  const std::string way = fmt::format("through the proxy {} (proxy)", proxy.url());
  CHECK(route_of(agent) == way);
  CHECK(read_text(agent.log_file()).contains(way));
  CHECK_FALSE(read_text(agent.log_file()).contains("s3cret"));
  // A publish is pushed through the tunnel as through a direct connection.
  set_users(shop, "\"u-3\"");
  CHECK(stack.published(shop, kShop) == 2);
  CHECK(stack.becomes_active(agent, kShop, 2));

  // The password changes: the next connection uses the new one.
  must(write_file(stack.file("password"), "wrong\n", 0600));
  const CliResult refused = stack.notp("alice", {"ledgers"});
  CHECK(refused.status == 6);
  // Tinyproxy answers 407 without credentials and 401 for a wrong password.
  CHECK_MESSAGE(refused.error_message().contains("401"), refused.error);
  CHECK_MESSAGE(refused.error_message().contains("the user 'edge'"), refused.error);
  must(write_file(stack.file("password"), "s3cret\n", 0600));
  CHECK(stack.notp("alice", {"ledgers"}).status == 0);
  const CliResult nobody = stack.notp("alice", {"--proxy", proxy.url(), "ledgers"});
  CHECK(nobody.status == 6);
  CHECK_MESSAGE(nobody.error_message().contains("407"), nobody.error);
  CHECK_MESSAGE(nobody.error_message().contains("(--proxy)"), nobody.error);
}

TEST_CASE("a port that the proxy does not let out to is named in the agent's status") {
  Stack stack;
  stack.start_registry();
  const Tinyproxy proxy(stack, {1});
  Agent& agent =
      stack.start_agent({.name = "edge-1", .ledgers = {kShop}, .more = {{"proxy", proxy.url()}}});
  CHECK(wait_until([&] { return text_at(agent.status(), "last_error").contains("403"); }));
  const std::string error = text_at(agent.status(), "last_error");
  CHECK_MESSAGE(error.contains(proxy.url()), error);
  CHECK_MESSAGE(error.contains(stack.registry_address()), error);
}

// This machine cannot resolve the name.
TEST_CASE("HTTPS_PROXY leads to a registry that only the proxy can resolve") {
  Stack stack;
  stack.start_registry();
  const FakeProxy proxy(FakeProxy::tunnels_to(stack.registry_port()));
  const std::string far = "registry.shop.example:7443";
  REQUIRE(stack.published(write_shop_model(stack), kShop) == 1);
  const std::vector<std::pair<std::string, std::string>> variables{
      {"https_proxy", proxy.url("alice:s3cret")}, {"no_proxy", "shop.example:443, 10.0.0.0/8"}};
  Agent& agent = stack.start_agent(
      {.name = "edge-1", .ledgers = {kShop}, .registry = far, .environment = variables});
  REQUIRE(stack.becomes_active(agent, kShop, 1));
  CHECK(route_of(agent) == fmt::format("through the proxy {} (https_proxy)", proxy.url()));
  REQUIRE_FALSE(proxy.requests().empty());
  CHECK(proxy.requests()[0].starts_with("CONNECT registry.shop.example:7443 HTTP/1.1\r\n"));
  CHECK(proxy.requests()[0].contains(to_base64("alice:s3cret")));

  const auto run = [&](std::vector<std::string> words,
                       std::vector<std::pair<std::string, std::string>> environment) {
    environment.emplace_back("HOME", stack.file("home"));
    Process process({.command = std::move(words),
                     .folder = stack.folder(),
                     .environment = std::move(environment),
                     .output_file = stack.file("out"),
                     .error_file = stack.file("err")});
    const int status = process.wait().value_or(-1);
    Finished finished{status, process.output(), process.error()};
    fs::remove(stack.file("out"));
    fs::remove(stack.file("err"));
    return finished;
  };
  const std::vector<std::string> cli{stack.program("notp"), "--config",
                                     stack.file("alice.cli.yaml"), "--registry", far};
  auto ledgers = cli, config = cli;
  ledgers.emplace_back("ledgers");
  config.emplace_back("config");
  const Finished listed = run(ledgers, variables);
  CHECK_MESSAGE(listed.status == 0, listed.error);
  const Finished shown = run(config, variables);
  CHECK_MESSAGE(shown.output.contains("through the proxy"), shown.output);
  CHECK_FALSE(shown.output.contains("s3cret"));

  const Finished checked =
      run({stack.program("notp-client"), "--config", agent.config_file(), "--check"}, variables);
  CHECK_MESSAGE(checked.output.contains("through the proxy " + proxy.url()), checked.output);
  const Finished exempt =
      run({stack.program("notp-client"), "--config", agent.config_file(), "--check"},
          {{"https_proxy", proxy.url()}, {"no_proxy", ".shop.example"}});
  CHECK_MESSAGE(exempt.output.contains("directly: https_proxy is not used"), exempt.output);
}

TEST_CASE("a node joins through a proxy, and its configuration keeps it") {
  Stack stack;
  const int port = free_port();
  stack.allow_joins();
  stack.registry_more["enroll"].at("listen") = fmt::format("127.0.0.1:{}", port);
  stack.write_registry_config();
  stack.start_registry();
  const CliResult token = stack.notp("eve", {"node", "enroll", "edge-7"});
  REQUIRE_MESSAGE(token.status == 0, token.error);
  must(write_file(stack.file("token"), text_at(token.document, "token") + "\n", 0600));
  const Tinyproxy proxy(stack, {port, stack.registry_port()});
  Process join(
      {.command = {stack.program("notp-client"), "enroll", "--token-file", stack.file("token"),
                   "--dir", stack.file("edge-7"), "--ledger", kShop, "--proxy", proxy.url()},
       .folder = stack.folder(),
       .environment = {},
       .output_file = stack.file("join.out"),
       .error_file = stack.file("join.err")});
  REQUIRE_MESSAGE(join.wait() == 0, join.error());
  CHECK(join.output().contains("through the proxy " + proxy.url()));
  CHECK(proxy.connected_to(fmt::format("127.0.0.1:{}", port)));
  CHECK(stack.published(write_shop_model(stack), kShop) == 1);
  Agent& agent = stack.start_agent(
      {.name = "edge-7", .ledgers = {}, .config = stack.file("edge-7") / "client.yaml"});
  CHECK(stack.becomes_active(agent, kShop, 1));
  CHECK(proxy.connected_to(stack.registry_address()));
}

}  // namespace
}  // namespace notp
