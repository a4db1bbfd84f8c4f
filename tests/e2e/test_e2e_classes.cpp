// Freshness by class between real programs: agents that share statements, beside a client that has
// never heard of classes, and over a restart of the registry.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <thread>

#include "common/http/client.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/session/freshness_update.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/pumped_session.hpp"
#include "tests/support/wire/tls_ends.hpp"

namespace notp {
namespace {

struct Fleet {
  Stack stack{{.freshness_interval_s = 1}};
  const int health_port = free_port();
  const std::filesystem::path payments = stack.copy_example("payments");

  Fleet() {
    stack.registry_more["health_listen"] = fmt::format("127.0.0.1:{}", health_port);
    stack.write_registry_config();
    stack.start_registry();
    publish(1);
  }
  void publish(int64_t version) {
    set_single_approval_max(payments, 100'000 + version);
    REQUIRE(stack.published(payments, kPayments) == version);
  }
  // -1: there is none.
  int64_t metric(const std::string& name) const {
    const auto answer =
        must(http::call_blocking({.url = fmt::format("http://127.0.0.1:{}/metrics", health_port)}));
    const size_t at = answer.body.find("\n" + name + " ");
    if (at == std::string::npos) return -1;
    return static_cast<int64_t>(std::stod(answer.body.substr(answer.body.find(' ', at + 1))));
  }
  int64_t shared() const { return metric("notp_freshness_class_signed_total"); }
  int64_t own() const { return metric("notp_freshness_signed_total") - shared(); }
  static bool is_fresh(const Agent& agent) {
    return text_at(agent.ledger_status(kPayments), "state") == "fresh";
  }
  void check_no_alarm(const Agent& agent) const {
    CAPTURE(agent.name());
    CHECK(at(agent.status(), "alarms").as_array().empty());
  }
};

TEST_CASE("agents of one class share each statement, also after a restart of the registry") {
  Fleet fleet;
  Stack& stack = fleet.stack;
  Agent& one = stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
  Agent& two = stack.start_agent({.name = "edge-2", .ledgers = {kPayments}});
  for (Agent* agent : {&one, &two}) REQUIRE(stack.becomes_active(*agent, kPayments, 1));
  REQUIRE(wait_until([&] { return fleet.shared() >= 4; }));
  for (Agent* agent : {&one, &two}) REQUIRE(wait_until([&] { return Fleet::is_fresh(*agent); }));
  CHECK(fleet.metric("notp_freshness_classes") == 1);
  CHECK(fleet.metric("notp_freshness_assignments_total") == 2);
  CHECK(fleet.own() == 0);

  // A withdrawal reaches both by the next statement of the class.
  fleet.publish(2);
  for (Agent* agent : {&one, &two}) REQUIRE(stack.becomes_active(*agent, kPayments, 2));
  REQUIRE(stack.notp("alice", {"withdraw", kPayments, "v2", "--reason", "wrong"}).status == 0);
  for (Agent* agent : {&one, &two})
    REQUIRE(wait_until([&] { return at(agent->ledger_status(kPayments), "withdrawn").as_bool(); }));
  fleet.publish(3);
  for (Agent* agent : {&one, &two}) REQUIRE(stack.becomes_active(*agent, kPayments, 3));

  stack.kill_registry();
  one.kill();
  one.start();
  stack.start_registry();
  REQUIRE(wait_until([&] { return fleet.shared() >= 4; }));
  CHECK(fleet.metric("notp_freshness_classes") == 1);
  for (Agent* agent : {&one, &two}) {
    REQUIRE(stack.becomes_active(*agent, kPayments, 3));
    REQUIRE(wait_until([&] { return Fleet::is_fresh(*agent); }));
    fleet.check_no_alarm(*agent);
  }
}

// A node of before classes: it rebuilds the statements, and verifies none.
struct OldNode {
  Loop loop;
  std::optional<transport::Wake> wake;
  std::optional<session::ClientSession> session;
  std::optional<trust::Freshness> last;
  std::string identity;
  size_t statements = 0;
  std::string refused;

  void on_event(session::client_event::FreshnessArrived& event) {
    const auto envelope = session::expand_freshness_update(event.update, last ? &*last : nullptr,
                                                           kTestDomain, identity);
    if (!envelope) refused = envelope.error().message;
    if (!envelope || ++statements == 3) return session->say_bye("seen enough");
    last = must(trust::Freshness::decode(envelope->payload));
  }
  void on_event(session::client_event::AssignmentArrived&) { refused = "an assignment"; }
  void on_event(auto&) {}

  asio::awaitable<void> talk(std::string address, ContextPtr tls, model::LedgerId ledger) {
    auto connection = must(co_await transport::connect(address, tls, kPatienceMs));
    wire::Hello hello{{wire::kProtocolVersion}, "old", 1, 0, {}};
    wire::Want want;
    want.ledger = std::move(ledger);
    hello.wants.push_back(want);
    session.emplace(hello, std::vector<session::PartialArtifact>{}, read_clock());
    wake.emplace();
    co_await pump_events(*connection, *session, *wake, [this](auto& e) { on_event(e); });
  }
};

TEST_CASE("a client that has never heard of classes gets statements of its own") {
  Fleet fleet;
  Stack& stack = fleet.stack;
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
  REQUIRE(stack.becomes_active(agent, kPayments, 1));
  const std::string stem = stack.issue("node", "edge-old");
  OldNode old;
  const pki::LeafOptions leaf = stack.leaf("node", "edge-old");
  old.identity = leaf.uris.front();
  old.loop.spawn(old.talk(stack.registry_address(),
                          context({.certificate = stem + ".crt",
                                   .private_key = stem + ".key",
                                   .authorities = stack.authority_file(),
                                   .trust_domain = std::string(kTestDomain)},
                                  transport::Side::kClient),
                          *model::LedgerId::parse(kPayments)));
  old.loop.run();
  CHECK_MESSAGE(old.refused.empty(), old.refused);
  CHECK(old.statements == 3);
  CHECK(fleet.own() >= 3);
  CHECK(fleet.metric("notp_freshness_classes") == 1);
  REQUIRE(wait_until([&] { return Fleet::is_fresh(agent); }));
  fleet.check_no_alarm(agent);
}

}  // namespace
}  // namespace notp
