// `notp doctor` and states that a registry, its roots and running agents get into.
#include <unistd.h>

#include "common/limits.hpp"
#include "protocol/trust/statements.hpp"
#include "tests/support/process/doctor_site.hpp"
#include "tests/support/process/faked_clock.hpp"
#include "tests/support/process/root_signing.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kDayMs = 86'400'000;

// Git refuses a repository of another user; without the right to change its owner, breaks the
// reference to its newest release instead.
void damage(const fs::path& repository) {
  constexpr uid_t kSomebody = 12345;
  if (::geteuid() != 0) return must(write_file(repository / "HEAD", "no reference\n"));
  for (const auto& entry : fs::recursive_directory_iterator(repository))
    REQUIRE(::lchown(entry.path().c_str(), kSomebody, kSomebody) == 0);
  REQUIRE(::chown(repository.c_str(), kSomebody, kSomebody) == 0);
}

// The stack's root, ending at another time.
void end_root_at(const Stack& stack, TimeMs expires_ms) {
  trust::Root root = must(
      trust::Root::decode(must(trust::Envelope::decode(read_text(stack.root_file()))).payload));
  root.expires_ms = expires_ms;
  root.issued_ms = std::min(root.issued_ms, expires_ms - 1000);
  trust::Envelope envelope = trust::envelope_of(root);
  trust::sign_envelope(envelope, must(PrivateKey::from_pem(read_text(stack.file("root-key.key")))));
  must(write_file(stack.root_file(), envelope.encode()));
}

Doctor of_client_with_root(const Stack& stack, const fs::path& root) {
  return of_client_with(stack, {{"root", root.string()}});
}

// --- the registry

TEST_CASE("a registry that cannot serve a ledger is found, and from the CLI, too") {
  Healthy site;
  Stack& stack = site.stack;
  stack.stop_registry();
  damage(stack.repository(kShop));
  stack.start_registry();
  finds(of_registry(stack), "unhealthy");
  finds(of_client_with(stack, {{"ledger", kShop}}), "registry_error");
}

TEST_CASE("a registry whose certificate has ended is found by an agent") {
  Healthy site;
  Stack& stack = site.stack;
  const TimeMs now = read_clock().wall_ms;
  pki::LeafOptions leaf = stack.leaf("registry", "main");
  leaf.server_auth = true;
  leaf.client_auth = false;
  leaf.validity = {now - 2 * kDayMs, now - kDayMs};
  stack.stop_registry();
  stack.write_registry_config(stack.issue("ended-registry", stack.authority(), leaf));
  stack.start_registry();
  finds(of_agent(stack, site.agent->config_file()), "tls_certificate_ended");
  finds(of_registry(stack), "certificate_ended");
}

TEST_CASE("who was evicted is told so") {
  Healthy site;
  Stack& stack = site.stack;
  REQUIRE(stack.published(stack.write_deny_list({site.agent->identity()}), kDenyList) == 1);
  REQUIRE(wait_until([&] { return stack.count_events("session_refused", "revoked") > 0; }));
  finds(of_agent(stack, site.agent->config_file()), "revoked");
}

TEST_CASE("a registry that vouches for nothing is found from the CLI") {
  Stack stack;
  stack.registry_more["freshness"] = json::object{};
  stack.write_registry_config();
  stack.start_registry();
  finds(of_client(stack, "eve"), "freshness_off");
}

// --- roots

TEST_CASE("a root that ends soon, and one that has ended, are found at the registry and the CLI") {
  const TimeMs now = read_clock().wall_ms;
  for (const auto& [ends_ms, code] :
       {std::pair{now + 20 * kDayMs, "root_ends_soon"}, std::pair{now - kDayMs, "root_expired"}}) {
    Stack stack;
    end_root_at(stack, ends_ms);
    stack.start_registry();
    finds(of_registry(stack), code);
    finds(of_client(stack, "eve"), code);
  }
}

TEST_CASE("a registry that has lost roots, and one of another chain, are told from a good one") {
  Healthy site;
  Stack& stack = site.stack;
  stack.grant("admin", "trust");
  stack.write_registry_config();
  stack.reload_registry();
  RootSigning signing(stack, "eve");
  const fs::path next = signing.draft({{"set-expiry", "--expires-in", "300"}});
  signing.sign(next, "root-key");
  finds(of_client_with_root(stack, next), "root_behind");

  const CliResult published = stack.notp("eve", {"root", "publish", next});
  REQUIRE_MESSAGE(published.status == 0, published.error);
  finds_nothing(of_client_with_root(stack, next));
  const Stack other;
  finds(of_client_with_root(stack, other.root_file()), "root_untrusted");
}

// --- running agents

TEST_CASE("a release that this node's engine may not run is found") {
  Stack stack;
  stack.registry_more["validation"] = must(parse_json(
      fmt::format(R"({{"allow": [{{"ledgers": ["{}"], "builtins": ["http.send"]}}]}})", kShop)));
  stack.write_registry_config();
  stack.start_registry();
  const fs::path model = write_shop_model(stack);
  REQUIRE(stack.published(model, kShop) == 1);
  const Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
  REQUIRE(wait_until([&] { return agent.has_active(kShop, 1); }));
  must(write_file(model / "shop/policy.rego",
                  read_text(model / "shop/policy.rego") +
                      "\nknown if http.send({\"method\": \"get\", \"url\": input.url})"
                      ".status_code == 200\n"));
  REQUIRE(stack.published(model, kShop) == 2);
  REQUIRE(wait_until([&] { return !text_at(agent.ledger_status(kShop), "error").empty(); }));
  finds(of_agent(stack, agent.config_file()), "ledger_rejected");
}

TEST_CASE("a node that has heard nothing for long is found to decide with what may be old") {
  Healthy site;
  Stack& stack = site.stack;
  const FakedClock clock(stack.file("clock"));
  const Agent& agent =
      stack.start_agent({.name = "edge-2", .ledgers = {kShop}, .environment = clock.environment()});
  REQUIRE(wait_until([&] { return agent.has_active(kShop, 1); }));
  stack.kill_registry();
  REQUIRE(wait_until([&] { return at(agent.status(), "connected") == json::value(false); }));
  clock.set("+2h");
  REQUIRE(wait_until([&] { return text_at(agent.ledger_status(kShop), "state") != "fresh"; }));
  const Doctor doctor =
      examined(stack, {"--agent-config", agent.config_file()}, clock.environment());
  finds(doctor, "ledger_aged");
  CHECK_FALSE_MESSAGE(doctor.codes.contains("clock_jumped"), doctor.text);
}

TEST_CASE("an agent that cannot record refuses decisions, and is found to") {
  Healthy site;
  Stack& stack = site.stack;
  must(write_file(stack.file("disk"), "not mounted"));
  AgentSetup setup{.name = "edge-2", .ledgers = {kShop}};
  setup.more["decisions"] = {{"folder", stack.file("disk/decisions").string()},
                             {"durability", "strict"}};
  const Agent& agent = stack.start_agent(std::move(setup));
  REQUIRE(wait_until([&] { return !text_at(agent.status(), "decisions_refused").empty(); }));
  finds(of_agent(stack, agent.config_file()), "decisions_refused");
}

// As of a node whose spool something removes at each start: one log after the other.
TEST_CASE("records that the registry does not take are found") {
  Healthy site;
  Stack& stack = site.stack;
  REQUIRE(wait_until([&] { return stack.count_events("log_announced") == 1; }));
  Agent& agent = stack.start_agent({.name = "edge-2", .ledgers = {kShop}});
  for (size_t logs = 1; logs <= limits::kLogsPerNodeMax; ++logs) {
    REQUIRE(wait_until([&] { return stack.count_events("log_announced") == 1 + logs; }));
    REQUIRE(agent.stop() == 0);
    fs::remove_all(stack.file("edge-2.data/decisions"));
    agent.start();
  }
  REQUIRE(wait_until([&] { return !text_at(agent.status(), "log_refused").empty(); }));
  finds(of_agent(stack, agent.config_file()), "log_refused");
}

TEST_CASE("an alarm of a node is found: the registry has lost a release that this node has") {
  Healthy site;
  Stack& stack = site.stack;
  stack.stop_registry();
  const fs::path ledger = stack.repository(kShop), copy = stack.file("copy");
  fs::copy(ledger, copy, fs::copy_options::recursive);
  stack.start_registry();
  const fs::path model = stack.file("shop-model");
  set_users(model, R"("u-1", "u-7")");
  REQUIRE(stack.published(model, kShop) == 2);
  REQUIRE(wait_until([&] { return site.agent->has_active(kShop, 2); }));
  stack.stop_registry();
  fs::remove_all(ledger);
  fs::rename(copy, ledger);
  stack.start_registry();
  REQUIRE(wait_until([&] { return site.agent->count_events("alarm", "rollback") > 0; }));
  finds(of_agent(stack, site.agent->config_file()), "alarm");
}

// Answers as OPA 0.70 does; this one's models are checked with OPA 1.
TEST_CASE("an OPA of before 1.0 is found") {
  Healthy site;
  Stack& stack = site.stack;
  const HttpHost old([](const http::Request& request) -> boost::asio::awaitable<http::Response> {
    http::Response response;
    response.body = request.path == "/v1/config"
                        ? R"({"result": {"labels": {"id": "1", "version": "0.70.0"},
                              "bundles": {"shop": {"resource": "/bundles/notp/shop"}}}})"
                        : "{}";
    co_return response;
  });
  const Agent& agent = stack.start_agent(
      {.name = "edge-2", .ledgers = {kShop}, .pdp = "opa", .opa_port = old.server->port()});
  const Doctor doctor = of_agent(stack, agent.config_file());
  finds(doctor, "opa_version");
  CHECK_FALSE_MESSAGE(doctor.codes.contains("opa_feed"), doctor.text);
}

}  // namespace
}  // namespace notp
