// `notp doctor` and faults of configurations, files and addresses.
#include "tests/support/process/doctor_site.hpp"
#include "tests/support/process/lane_site.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kDayMs = 86'400'000;

// A file of text that is nothing in particular.
std::string nonsense(const Stack& stack, const std::string& name) {
  must(write_file(stack.file(name), "no such thing\n"));
  return stack.file(name).string();
}

TEST_CASE("what a start of the agent refuses is found by its code") {
  Healthy site;
  const Stack& stack = site.stack;
  const std::string file = nonsense(stack, "nonsense");
  const auto bent = [&](const std::function<void(json::object&)>& bend) {
    return of_agent(stack, site.bent(bend));
  };
  finds(bent([](json::object& config) { config["root"] = "/no/such/root"; }), "file_unreadable");
  finds(bent([&](json::object& config) { config["data_dir"] = file + "/data"; }), "data_folder");
  finds(bent([](json::object& config) {
          config["pdp"] = must(parse_json(
              R"({"kind": "folder", "folder": {"path": "models", "hook": ["/no/such/hook"]}})"));
        }),
        "configuration");
  finds(bent([](json::object& config) { config["registry"] = "0.0.0.0:7443"; }),
        "registry_address");
  finds(bent([&](json::object& config) { config["tls"].as_object()["certificate"] = file; }),
        "certificate_unusable");
  finds(bent([&](json::object& config) { config["tls"].as_object()["ca"] = file; }),
        "authorities_unusable");
}

TEST_CASE("a certificate that begins tomorrow is found") {
  Healthy site;
  Stack& stack = site.stack;
  const TimeMs now = read_clock().wall_ms;
  pki::LeafOptions leaf = stack.leaf("node", "edge-1");
  leaf.validity = {now + kDayMs, now + 2 * kDayMs};
  finds(of_agent(stack, site.with_certificate(stack.issue("early", stack.authority(), leaf))),
        "certificate_not_begun");
}

TEST_CASE("faults of a registry's configuration are found before it starts") {
  Stack stack;
  stack.registry_more["limits"] = json::object{{"sessions", 100}};
  stack.registry_more["deny_list"] = "200000000000/nobodys";
  // Of a block for documentation: no machine has it.
  stack.registry_more["health_listen"] = "192.0.2.1:7449";
  stack.write_registry_config();
  const Doctor doctor = of_registry(stack);
  finds(doctor, "deny_list_undelegated");
  finds(doctor, "listen_address");
}

TEST_CASE(
    "a source key that may publish nothing, or too much, is found before a provider rotates") {
  Stack stack;
  const auto source = [](const std::string& name, const std::string& ledger) {
    return json::object{{"name", name}, {"issuer", "https://login.example"}, {"ledger", ledger}};
  };
  json::object secret = source("login", "100000000000/login");
  secret["auth"] = json::object{{"method", "client_secret_basic"},
                                {"client_id", "registry"},
                                {"secret_file", stack.file("no-such-secret").string()},
                                {"token_endpoint", "https://login.example/token"}};
  stack.registry_more["sources"] =
      json::object{{"key", stack.file("publisher.key").string()},
                   {"issuers", json::array{secret, source("staff", "200000000000/staff")}}};
  stack.write_registry_config();
  const Doctor doctor = of_registry(stack);
  finds(doctor, "source_key_unrestricted");
  finds(doctor, "source_key_undelegated");
  finds(doctor, "source_auth_unreadable");
}

TEST_CASE("a lane key that is not the root's is found before a node refuses the lanes") {
  Stack stack;
  stack.registry_more["lanes"] = must(parse_json(fmt::format(
      R"({{"key": "{}", "lanes": [{{"name": "shop", "attributes": ["iss", "sub"],
           "grants": [{{"nodes": ["node/*"]}}], "sources": []}}]}})",
      stack.file("publisher.key").string())));
  stack.write_registry_config();
  // The root has no lane key, then another one, then this one.
  finds(of_registry(stack), "lane_key_wrong");
  set_lane_key(stack);
  finds(of_registry(stack), "lane_key_wrong");
  stack.registry_more["lanes"].as_object()["key"] = stack.file("lane.key").string();
  stack.write_registry_config();
  CHECK_FALSE(of_registry(stack).codes.contains("lane_key_wrong"));
}

TEST_CASE("an installation without its worker is found") {
  Healthy site;
  const Stack& stack = site.stack;
  const fs::path bin = stack.file("bin");
  must(make_folders(bin));
  for (const char* program : {"notp", "notp-client"})
    fs::copy_file(stack.program(program), bin / program);
  const CommandResult ran = run_command(
      {bin / "notp", "-o", "json", "doctor", "--agent-config", site.agent->config_file().string()},
      {{"HOME", stack.file("home").string()}, {"PATH", "/usr/bin:/bin"}});
  CHECK_MESSAGE(ran.output.contains("\"worker_missing\""), ran.output);
}

TEST_CASE("an address where no registry can be, and one where something else answers, are found") {
  Healthy site;
  const Stack& stack = site.stack;
  // To a group of machines there is no connection.
  finds(of_agent(stack, site.with_registry("224.0.0.1:7443")), "registry_unreachable");
  const HttpHost stranger([](const http::Request&) -> boost::asio::awaitable<http::Response> {
    co_return http::Response();
  });
  finds(of_agent(stack, site.with_registry(fmt::format("127.0.0.1:{}", stranger.server->port()))),
        "tls_failed");
}

}  // namespace
}  // namespace notp
