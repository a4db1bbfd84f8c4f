// `notp doctor` finds each fault that is made on purpose, by its code, and nothing in a healthy
// set-up.
#include <regex>

#include "tests/support/process/doctor_site.hpp"
#include "tests/support/process/faked_clock.hpp"
#include "tests/support/process/mounted_disk.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kDayMs = 86'400'000;

TEST_CASE("a healthy set-up has no findings") {
  Healthy site;
  const Stack& stack = site.stack;
  for (const Doctor& doctor : {of_registry(stack), of_agent(stack, site.agent->config_file()),
                               of_client(stack, "eve"), of_client(stack, "alice")}) {
    finds_nothing(doctor);
    if (is_on_plain_disk(stack.folder())) CHECK_MESSAGE(doctor.status == 0, doctor.text);
  }
  const Doctor client = of_client(stack, "eve");
  CHECK(text_at(client.document, "seen.may") == "read 1 ledger, fleet");
  CHECK(text_at(client.document, "seen.clock") == "as the registry's");
  CHECK(text_at(client.document, "seen.root") == "v1 pinned, v1 served");
  // The look at the agent's way to the registry is no session of the node.
  CHECK(text_at(site.stack.node(*site.agent), "agent").starts_with("notp-client"));
  CHECK(site.agent->has_active(kShop, 1));
}

TEST_CASE("faults of an agent's certificate and key are found by their codes") {
  Healthy site;
  Stack& stack = site.stack;
  const TimeMs now = read_clock().wall_ms;
  pki::LeafOptions leaf = stack.leaf("node", "edge-1");
  leaf.validity = {now - 2 * kDayMs, now - kDayMs};
  finds(of_agent(stack, site.with_certificate(stack.issue("ended", stack.authority(), leaf))),
        "certificate_ended");
  leaf = stack.leaf("node", "edge-1");
  leaf.validity = {now - 100 * kDayMs, now + kDayMs};
  finds(of_agent(stack, site.with_certificate(stack.issue("soon", stack.authority(), leaf))),
        "certificate_ends_soon");
  finds(of_agent(stack, site.with_certificate(stack.issue("publisher", "carol"))),
        "certificate_identity");
  const pki::Credential stranger =
      must(pki::make_authority("another CA", pki::Validity::days(now, 10)));
  const Doctor foreign = of_agent(
      stack, site.with_certificate(stack.issue("foreign", stranger, stack.leaf("node", "edge-1"))));
  finds(foreign, "certificate_untrusted");
  const std::string own = stack.issue("own", stack.authority(), stack.leaf("node", "edge-1"));
  stack.issue("other", stack.authority(), stack.leaf("node", "other"));
  finds(of_agent(stack, site.bent([&](json::object& config) {
          config["tls"].as_object()["certificate"] = own + ".crt";
          config["tls"].as_object()["key"] = stack.file("pki/other.key").string();
        })),
        "key_mismatch");
  fs::permissions(own + ".key", fs::perms::others_read, fs::perm_options::add);
  finds(of_agent(stack, site.with_certificate(own)), "key_mode");
}

TEST_CASE("the way to the registry is found to end where it ends") {
  Healthy site;
  Stack& stack = site.stack;
  finds(of_agent(stack, site.with_registry("no-such-host.invalid:7443")), "name_unresolved");
  finds(of_agent(stack, site.with_registry(fmt::format("127.0.0.1:{}", free_port()))),
        "port_closed");
  const pki::Credential stranger =
      must(pki::make_authority("another CA", pki::Validity::days(read_clock().wall_ms, 10)));
  must(write_file(stack.file("stranger.crt"), stranger.certificate_pem));
  finds(of_agent(stack, site.bent([&](json::object& config) {
          config["tls"].as_object()["ca"] = stack.file("stranger.crt").string();
        })),
        "tls_untrusted");
  finds(of_agent(stack, site.bent([](json::object& config) {
          config["registry_identity"] = "registry/another";
        })),
        "registry_identity");
  stack.kill_registry();
  REQUIRE(wait_until([&] { return at(site.agent->status(), "connected") == json::value(false); }));
  const Doctor alone = of_agent(stack, site.agent->config_file());
  finds(alone, "port_closed");
  finds(alone, "agent_disconnected");
  finds(of_registry(stack), "not_listening");
  finds(of_client(stack, "eve"), "port_closed");
  site.agent->stop();
  finds(of_agent(stack, site.agent->config_file()), "agent_not_running");
}

TEST_CASE("another root, another clock and missing rights are found from the CLI") {
  Healthy site;
  Stack& stack = site.stack;
  const Stack other;
  finds(of_agent(stack, site.bent([&](json::object& config) {
          must(write_file(stack.file("no-root"), "no root"));
          config["root"] = stack.file("no-root").string();
        })),
        "root_invalid");
  // The same domain and version by other root keys.
  finds(of_client_with(stack, {{"root", other.root_file().string()}}), "root_differs");
  // One that is yet to be published is no fault.
  finds_nothing(of_client_with(stack, {{"ledger", kPayments}}));
  const FakedClock clock(stack.file("clock"));
  clock.set("+1h");
  finds(of_client(stack, "eve", clock.environment()), "clock_differs");
  stack.rights = {};
  stack.write_registry_config();
  stack.reload_registry();
  finds(of_client_with(stack, {{"ledger", kShop}}), "ledger_denied");
}

TEST_CASE("a clock that once was far ahead is found at the running agent") {
  Healthy site;
  Stack& stack = site.stack;
  const FakedClock clock(stack.file("clock"));
  clock.set("+1h");
  const Agent& agent =
      stack.start_agent({.name = "edge-2", .ledgers = {kShop}, .environment = clock.environment()});
  REQUIRE(wait_until([&] { return agent.has_active(kShop, 1); }));
  stack.kill_registry();
  REQUIRE(wait_until([&] { return at(agent.status(), "connected") == json::value(false); }));
  clock.set("+0");
  finds(of_agent(stack, agent.config_file()), "clock_jumped");
}

TEST_CASE("whatever answers where the agent should is told from an agent") {
  Healthy site;
  std::string body;
  const HttpHost stranger([&](const http::Request&) -> boost::asio::awaitable<http::Response> {
    http::Response response;
    response.body = body;
    co_return response;
  });
  const fs::path config = site.bent([&](json::object& changed) {
    changed["listen"] = fmt::format("127.0.0.1:{}", stranger.server->port());
  });
  for (const char* said :
       {"welcome", "{}", R"({"ledgers": 1})",
        R"({"connected": true, "last_error": "", "now_ms": 1, "ledgers": [7]})"}) {
    body = said;
    finds(of_agent(site.stack, config), "agent_not_running");
  }
}

TEST_CASE("ledgers of one node whose data roots overlap are found") {
  const std::string till = "100000000000/till";
  const auto reads = [](const std::string& ledger) {
    return json::object{
        {"identity", "node/*"}, {"ledgers", json::array{ledger}}, {"actions", json::array{"read"}}};
  };
  Stack stack;
  // The registry refuses such a pair only where one rule grants both.
  stack.rights = {json::object{{"identity", "publisher/*"},
                               {"ledgers", json::array{"*/*"}},
                               {"actions", json::array{"read", "publish"}}},
                  reads(kShop), reads(till)};
  stack.write_registry_config();
  stack.start_registry();
  const fs::path model = write_shop_model(stack);
  REQUIRE(stack.published(model, kShop) == 1);
  REQUIRE(stack.published(model, till) == 1);
  const Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop, till}});
  REQUIRE(wait_until([&] { return !text_at(agent.ledger_status(till), "error").empty(); }));
  finds(of_agent(stack, agent.config_file()), "roots_overlap");
}

TEST_CASE("limits and disks of the machine are found") {
  Healthy site;
  Stack& stack = site.stack;
  site.agent->stop();
  stack.stop_registry();
  const std::string command =
      fmt::format("ulimit -n 256; exec '{}' -o json doctor --registry-config '{}'",
                  stack.program("notp"), stack.file("registry.yaml").string());
  const CommandResult few = run_command({"sh", "-c", command});
  CHECK_MESSAGE(few.output.contains("\"descriptors\""), few.output);

  const MountedDisk disk(stack.file("disk"), 8);
  if (!disk.is_mounted()) {
    MESSAGE("no right to mount: disks are not looked at");
    return;
  }
  must(make_folders(stack.file("disk/data")));
  // Its ring of records needs more than there is.
  const Doctor small = examined(stack, {"--agent-config", site.bent([&](json::object& config) {
                                          config["data_dir"] = stack.file("disk/data").string();
                                        })});
  CHECK_MESSAGE(small.text.contains("\"file_system\""), small.text);
  finds(small, "disk_space");

  const MountedDisk crowded(stack.file("crowded"), 8, /*inodes=*/64);
  finds(of_agent(stack, site.bent([&](json::object& config) {
          config["data_dir"] = stack.file("crowded/data").string();
        })),
        "disk_inodes");
  must(make_folders(stack.file("crowded/data")));
  crowded.set_read_only(true);
  finds(of_agent(stack, site.bent([&](json::object& config) {
          config["data_dir"] = stack.file("crowded/data").string();
        })),
        "disk_read_only");
}

TEST_CASE("a registry without its freshness key, or with another one, is found") {
  Stack stack;
  stack.registry_more["limits"] = json::object{{"sessions", 100}};
  stack.registry_more["freshness"] = json::object{};
  stack.write_registry_config();
  finds(of_registry(stack), "freshness_key_missing");
  finds(of_registry(stack), "deny_list_missing");
  stack.registry_more["freshness"] =
      json::object{{"private_key", stack.file("publisher.key").string()}};
  stack.write_registry_config();
  finds(of_registry(stack), "freshness_key_wrong");
  must(write_file(stack.file("registry.yaml"), "listen: [no"));
  finds(of_registry(stack), "configuration_invalid");
}

TEST_CASE("an OPA without this agent's feed, or none at all, is found") {
  Healthy site;
  Stack& stack = site.stack;
  const int port = free_port();
  Agent& agent =
      stack.start_agent({.name = "edge-2", .ledgers = {kShop}, .pdp = "opa", .opa_port = port});
  finds(of_agent(stack, agent.config_file()), "opa_unreachable");
  Opa opa(stack, port);
  opa.start(agent);
  REQUIRE(wait_until([&] { return agent.has_active(kShop, 1); }));
  const Doctor fed = of_agent(stack, agent.config_file());
  finds_nothing(fed);
  CHECK_MESSAGE(text_at(fed.document, "seen.OPA").starts_with("1."), fed.text);
  opa.kill();
  const Process unfed({.command = {std::getenv("NOTP_OPA"), "run", "--server", "--addr",
                                   fmt::format("127.0.0.1:{}", port), "--skip-version-check"},
                       .folder = stack.folder(),
                       .environment = {},
                       .output_file = stack.file("unfed.log"),
                       .error_file = stack.file("unfed.log")});
  REQUIRE(wait_until(
      [&] { return !of_agent(stack, agent.config_file()).codes.contains("opa_unreachable"); }));
  finds(of_agent(stack, agent.config_file()), "opa_feed");
}

// A finding that no test makes may be one that cannot occur.
TEST_CASE("every code of a finding is found in a test") {
  const fs::path source(std::getenv("NOTP_SOURCE"));
  std::string tests;
  for (const auto& entry : fs::directory_iterator(source / "tests/e2e")) {
    const std::string text = read_text(entry.path());
    if (text.contains("doctor_site.hpp") || text.contains("\"doctor\"")) tests += text;
  }
  const std::string table = read_text(source / "tools/notp/doctor/finding_codes.cpp");
  const std::regex row(R"(\n    \{"(\w+)\",)");
  size_t rows = 0;
  for (std::sregex_iterator at(table.begin(), table.end(), row), end; at != end; ++at, ++rows)
    CHECK_MESSAGE(std::regex_search(tests, std::regex(fmt::format(R"("{}\\?")", (*at)[1].str()))),
                  (*at)[1].str());
  CHECK(rows > 50);
}

TEST_CASE("without settings nothing is checked, and the exit code says so") {
  const Stack stack;
  CHECK(examined(stack, {"--agent-config", stack.file("absent.yaml")}).status == 2);
  CHECK(examined(stack, {"--agent-config", stack.file("alice.cli.yaml"), "--registry-config",
                         stack.file("registry.yaml")})
            .status == 2);
  must(write_file(stack.file("empty.yaml"), "{}"));
  CHECK(examined(stack, {"--config", stack.file("empty.yaml")}).status == 2);
}

}  // namespace
}  // namespace notp
