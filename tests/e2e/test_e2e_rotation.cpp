// Every key and certificate of an installation is replaced while it decides and its publisher
// publishes; afterwards the old ones are useless.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "common/storage/files.hpp"
#include "protocol/trust/envelope.hpp"
#include "tests/support/process/load.hpp"
#include "tests/support/process/root_signing.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

const std::string kTransfer = "payments/transfer/decision";
const std::string kPattern = "100000000000/*";

size_t count_lines(const fs::path& log, std::string_view event) {
  return static_cast<size_t>(std::ranges::count_if(
      log_lines(log), [&](const json::value& line) { return text_at(line, "event") == event; }));
}

class Drill {
 public:
  Drill() {
    stack.grant("admin", "trust");
    stack.write_registry_config();
    stack.start_registry();
    REQUIRE(stack.published(payments, kPayments) == 1);
    agents = {
        &stack.start_agent({.name = "edge-1", .ledgers = {kPayments}}),
        &stack.start_agent({.name = "edge-2", .ledgers = {kPayments}}),
        &stack.start_agent(
            {.name = "edge-3", .ledgers = {kPayments}, .pdp = "opa", .opa_port = opa.port()})};
    opa.start(*agents[2]);
    for (const Agent* agent : agents) REQUIRE(stack.becomes_active(*agent, kPayments, 1));
  }

  void keygen(const std::string& name) {
    REQUIRE(stack.notp({}, {"keygen", "--out", stack.file(name)}).status == 0);
  }
  std::string pub(const std::string& name) const { return stack.file(name + ".pub"); }

  std::vector<DecisionLoad::Asked> questions() {
    const auto of_agent = [this](size_t i) {
      return DecisionLoad::Asked{agents[i]->name(),
                                 [this, i] { return agents[i]->decide(kTransfer, transfer); }};
    };
    return {of_agent(0), of_agent(1), of_agent(2), {"OPA", [this] {
                                                      return opa.decide(kTransfer, transfer);
                                                    }}};
  }

  size_t sessions_of(const Agent& agent) const {
    return static_cast<size_t>(
        std::ranges::count_if(stack.registry_log(), [&](const json::value& line) {
          return text_at(line, "event") == "session_opened" &&
                 text_at(line, "identity") == agent.identity();
        }));
  }
  bool each_has_had(size_t sessions) const {
    return std::ranges::all_of(agents,
                               [&](const Agent* agent) { return sessions_of(*agent) == sessions; });
  }
  bool each_has_root(int64_t version) const {
    return std::ranges::all_of(agents, [&](const Agent* agent) {
      return number_at(agent->status(), "root_version") == version;
    });
  }
  // True once the registry and every agent have reloaded their files this often.
  bool each_has_reloaded(size_t registry, size_t agent) const {
    return stack.count_events("certificates_reloaded") >= registry &&
           std::ranges::all_of(agents, [&](const Agent* one) {
             return count_lines(one->log_file(), "certificates_reloaded") >= agent;
           });
  }
  void reissue(const std::string& role, const std::string& name, const pki::Credential& issuer) {
    stack.issue(name, issuer, stack.leaf(role, name));
  }

  Stack stack{{.root_keys = 3, .freshness_interval_s = 1}};
  Opa opa{stack, free_port()};
  const fs::path payments = stack.copy_example("payments");
  const json::value transfer = stack.example_question("transfer-750-euros");
  std::vector<const Agent*> agents;
  RootSigning signing{stack, "eve"};
};

void replace_root_keys(Drill& drill) {
  for (const char* name : {"new-root-1", "new-root-2", "new-root-3"}) drill.keygen(name);
  drill.signing.change(
      {{"add-key", "--role", "root", "--key", drill.pub("new-root-1"), "--key",
        drill.pub("new-root-2"), "--key", drill.pub("new-root-3")},
       {"remove-key", "--role", "root", "--key", drill.pub("root-key"), "--key",
        drill.pub("root-key-2"), "--key", drill.pub("root-key-3"), "--threshold", "2"}},
      {"root-key", "root-key-3", "new-root-1", "new-root-2"});
  REQUIRE(wait_until([&] { return drill.each_has_root(2); }));
}

// Both keys may publish for a while.
void replace_publisher_key(Drill& drill, PublishLoad& publishes) {
  Stack& stack = drill.stack;
  drill.keygen("new-publisher");
  drill.signing.change({{"add-key", "--role", "publisher", "--pattern", kPattern, "--key",
                         drill.pub("new-publisher")}},
                       {"new-root-1", "new-root-3"});
  REQUIRE(wait_until([&] { return drill.each_has_root(3); }));
  stack.configure_cli("alice", stack.file("pki/alice"), {}, stack.file("new-publisher.key"));
  REQUIRE_MESSAGE(publishes.goes_on(), publishes.failure());
  drill.signing.change({{"remove-key", "--role", "publisher", "--key", drill.pub("publisher")}},
                       {"new-root-2", "new-root-3"});
  REQUIRE(wait_until([&] { return drill.each_has_root(4); }));
  REQUIRE_MESSAGE(publishes.goes_on(), publishes.failure());
}

void replace_freshness_key(Drill& drill) {
  Stack& stack = drill.stack;
  drill.keygen("new-freshness");
  fs::copy_file(stack.file("freshness.key"), stack.file("old-freshness.key"));
  drill.signing.change(
      {{"add-key", "--role", "freshness", "--key", drill.pub("new-freshness")},
       {"remove-key", "--role", "freshness", "--key", stack.file("freshness.pub").string()}},
      {"new-root-1", "new-root-2"});
  REQUIRE(wait_until([&] { return drill.each_has_root(5); }));
  const TimeMs replaced_ms = read_clock().wall_ms;
  must(write_file(stack.file("freshness.key"), read_text(stack.file("new-freshness.key")), 0600));
  stack.reload_registry();
  // Sequences follow the registry's clock: a statement made after that has arrived.
  REQUIRE(wait_until([&] {
    return std::ranges::all_of(drill.agents, [&](const Agent* agent) {
      return number_at(agent->status(), "freshness_sequence") >= replaced_ms;
    });
  }));
}

// First all trust both, then all get a certificate of the new one, then the old one is removed.
void replace_authority(Drill& drill, PublishLoad& publishes) {
  Stack& stack = drill.stack;
  const pki::Credential second =
      must(pki::make_authority("second CA", pki::Validity::days(read_clock().wall_ms, 10)));
  const std::string first_pem = stack.authority().certificate_pem;
  must(write_file(stack.authority_file(), first_pem + second.certificate_pem));
  REQUIRE(wait_until([&] { return drill.each_has_reloaded(1, 1); }));

  drill.reissue("registry", "main", second);
  for (const Agent* agent : drill.agents) drill.reissue("node", agent->name(), second);
  REQUIRE(wait_until([&] { return drill.each_has_reloaded(2, 2); }));
  // A publisher does not publish between writing the two files of a certificate.
  stack.configure_cli("alice", stack.issue("alice-2", second, stack.leaf("publisher", "alice")), {},
                      stack.file("new-publisher.key"));
  stack.configure_cli("eve", stack.issue("eve-2", second, stack.leaf("admin", "eve")));
  REQUIRE_MESSAGE(publishes.goes_on(), publishes.failure());
  CHECK(drill.each_has_had(1));

  must(write_file(stack.authority_file(), second.certificate_pem));
  REQUIRE(wait_until([&] { return drill.each_has_reloaded(3, 3); }));
  REQUIRE(wait_until([&] { return drill.each_has_had(2); }));
  REQUIRE_MESSAGE(publishes.goes_on(), publishes.failure());
  CHECK(drill.each_has_had(2));
}

void check_everybody_is_well(Drill& drill) {
  const json::array nodes = drill.stack.nodes();
  CHECK(nodes.size() == drill.agents.size());
  for (const Agent* agent : drill.agents) {
    CAPTURE(agent->name());
    CHECK(drill.stack.is_at_head(*agent, kPayments));
    CHECK(number_at(agent->status(), "root_version") == drill.signing.version());
    CHECK(text_at(agent->ledger_status(kPayments), "state") == "fresh");
    CHECK(at(agent->status(), "alarms").as_array().empty());
    CHECK(text_at(drill.stack.node_ledger(*agent, kPayments), "freshness") == "fresh");
  }
}

void check_old_publisher_key(Drill& drill) {
  set_single_approval_max(drill.payments, 1);
  const CliResult refused =
      drill.stack.notp("alice", {"publish", drill.payments, "--ledger", kPayments, "--signing-key",
                                 drill.stack.file("publisher.key")});
  CHECK(refused.status == 7);
  CHECK(refused.error_code() == "signature");
}

// The tool refuses signatures of old holders; signatures made by other means, sent directly to the
// registry, must be refused, too.
void check_old_root_keys(Drill& drill) {
  Stack& stack = drill.stack;
  const fs::path forged =
      drill.signing.draft({{"set-expiry", "--expires-in", "30"}}, "forged.envelope");
  const CliResult refused =
      stack.notp({}, {"root", "sign", forged, "--key", stack.file("root-key.key"), "--previous",
                      drill.signing.newest(), "--yes"});
  CHECK(refused.status == 2);
  CHECK(refused.error_message().contains("is a root key neither of this root nor of the one"));

  trust::Envelope envelope = must(trust::Envelope::decode(read_text(forged)));
  for (const char* name : {"root-key", "root-key-2", "root-key-3"})
    trust::sign_envelope(
        envelope, must(PrivateKey::from_pem(read_text(stack.file(std::string(name) + ".key")))));
  must(write_file(forged, envelope.encode()));
  const CliResult published = stack.notp("eve", {"root", "publish", forged});
  CHECK(published.status == 7);
  CHECK(published.error_code() == "signature");
  const std::string pinned = read_text(stack.root_file());
  must(write_file(stack.root_file(), envelope.encode()));
  REQUIRE(wait_until([&] { return stack.count_events("root_not_reloaded", "signature") > 0; }));
  must(write_file(stack.root_file(), pinned));
  CHECK(drill.each_has_root(drill.signing.version()));
}

// The registry with the old key attests nothing, and reports that.
void check_old_freshness_key(Drill& drill) {
  Stack& stack = drill.stack;
  const auto said = [&](std::string_view state) {
    return std::ranges::count_if(stack.registry_log(), [&](const json::value& line) {
      return text_at(line, "event") == "freshness_key" && text_at(line, "state") == state;
    });
  };
  const auto before = said("other");
  fs::copy_file(stack.file("old-freshness.key"), stack.file("freshness.key"),
                fs::copy_options::overwrite_existing);
  stack.reload_registry();
  REQUIRE(wait_until([&] { return said("other") > before; }));
}

void check_old_authority(Drill& drill) {
  Stack& stack = drill.stack;
  stack.configure_cli("left-behind", stack.file("pki/alice"));
  const CliResult refused = stack.notp("left-behind", {"ledgers"});
  CHECK(refused.status == 5);
  CHECK(refused.error_code() == "certificate_untrusted");
  REQUIRE(wait_until(
      [&] { return stack.count_events("handshake_refused", "certificate_untrusted") > 0; }));
}

TEST_CASE("every key and every certificate is replaced under load, and no decision fails") {
  Drill drill;
  DecisionLoad decisions(drill.questions());
  PublishLoad publishes(drill.stack, drill.payments, drill.agents);
  REQUIRE_MESSAGE(publishes.goes_on(), publishes.failure());

  replace_root_keys(drill);
  replace_publisher_key(drill, publishes);
  replace_freshness_key(drill);
  replace_authority(drill, publishes);

  publishes.stop();
  CHECK(publishes.failure().empty());
  const DecisionLoad::Tally tally = decisions.stop();
  MESSAGE(tally.asked << " decisions, " << publishes.version() << " releases");
  CHECK(tally.asked > 0);
  CHECK_MESSAGE(tally.failed == 0, tally.first_failure);
  REQUIRE(wait_until([&] {
    return std::ranges::all_of(drill.agents, [&](const Agent* agent) {
      return text_at(drill.stack.node_ledger(*agent, kPayments), "freshness") == "fresh";
    });
  }));
  check_everybody_is_well(drill);

  check_old_publisher_key(drill);
  check_old_root_keys(drill);
  check_old_authority(drill);
  check_old_freshness_key(drill);
}

TEST_CASE("a node that was away for every change of the root walks the chain when it comes") {
  Stack stack{{.root_keys = 3}};
  stack.grant("admin", "trust");
  stack.write_registry_config();
  stack.start_registry();
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  Agent& away = stack.start_agent({.name = "away", .ledgers = {kPayments}});
  REQUIRE(stack.becomes_active(away, kPayments, 1));
  away.kill();

  RootSigning signing(stack, "eve");
  signing.change(
      {{"remove-key", "--role", "root", "--key", stack.file("root-key.pub"), "--threshold", "2"}},
      {"root-key-2", "root-key-3"});
  // The first key of the token lanes, which nothing signs with yet.
  REQUIRE(stack.notp({}, {"keygen", "--out", stack.file("lane")}).status == 0);
  signing.change({{"set-lane-key", "--key", stack.file("lane.pub")}}, {"root-key-2", "root-key-3"});
  signing.change({{"set-expiry", "--expires-in", "90"}}, {"root-key-2", "root-key-3"});
  // The registry keeps the chain, even if it starts from its first root again.
  stack.stop_registry();
  stack.start_registry();
  away.start();
  Agent& late = stack.start_agent({.name = "late", .ledgers = {kPayments}});
  for (const Agent* agent : {&away, &late}) {
    REQUIRE(wait_until([&] { return number_at(agent->status(), "root_version") == 4; }));
    REQUIRE(stack.becomes_active(*agent, kPayments, 1));
  }
  // Without the registry it starts from the chain that it has verified.
  stack.kill_registry();
  away.kill();
  away.start();
  REQUIRE(wait_until([&] { return away.has_active(kPayments, 1); }));
  CHECK(number_at(away.status(), "root_version") == 4);
}

}  // namespace
}  // namespace notp
