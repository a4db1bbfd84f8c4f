// Identities that are refused, and accepted ones without the right: each gets its own error, and
// the registry logs one line for it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

constexpr TimeMs kDayMs = 86'400'000;

// The lines about refusals in the registry's log from here on.
class Refusals {
 public:
  explicit Refusals(const Stack& stack) : stack_(stack), begin_(stack.registry_log().size()) {}

  std::vector<json::value> lines() const {
    std::vector<json::value> all = stack_.registry_log();
    all.erase(all.begin(), all.begin() + static_cast<ptrdiff_t>(begin_));
    std::erase_if(all, [](const json::value& line) { return text_at(line, "level") == "info"; });
    return all;
  }
  // Exactly one line, with this code.
  void check_one(std::string_view event, std::string_view code) const {
    REQUIRE(wait_until([&] { return !lines().empty(); }));
    const std::vector<json::value> all = lines();
    CAPTURE(json::serialize(all.back()));
    CHECK(all.size() == 1);
    CHECK(text_at(all.front(), "event") == event);
    CHECK(text_at(all.front(), "code") == code);
  }

 private:
  const Stack& stack_;
  const size_t begin_;
};

CliResult ask(Stack& stack, const std::string& who) { return stack.notp(who, {"ledgers"}); }

TEST_CASE("a certificate that does not make an identity is refused on both sides") {
  Stack stack;
  stack.start_registry();
  const pki::Credential stranger =
      must(pki::make_authority("another CA", pki::Validity::days(read_clock().wall_ms, 10)));
  struct Row {
    const char* name;
    const pki::Credential& issuer;
    std::function<void(pki::LeafOptions&)> bend;
    const char* server_code;
    const char* client_code;
  };
  const TimeMs now = read_clock().wall_ms;
  const Row rows[] = {
      {"wrong-ca", stranger, [](auto&) {}, "certificate_untrusted", "certificate_untrusted"},
      {"expired", stack.authority(),
       [&](auto& leaf) { leaf.validity = {now - 2 * kDayMs, now - 1'000}; }, "certificate_expired",
       "certificate_expired"},
      {"two-uris", stack.authority(),
       [](auto& leaf) { leaf.uris.push_back(test_uri("publisher", "bob")); }, "identity",
       "identity"},
      {"another-domain", stack.authority(),
       [](auto& leaf) { leaf.uris = {test_uri("publisher", "mallory", "evil.internal")}; },
       "identity", "identity"},
      {"server-only", stack.authority(),
       [](auto& leaf) {
         leaf.server_auth = true;
         leaf.client_auth = false;
       },
       "certificate_untrusted", "certificate_untrusted"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    pki::LeafOptions leaf = stack.leaf("publisher", "mallory");
    row.bend(leaf);
    stack.configure_cli(row.name, stack.issue(row.name, row.issuer, leaf));
    const Refusals refusals(stack);
    const CliResult refused = ask(stack, row.name);
    CHECK(refused.status == 5);
    CHECK(refused.error_code() == row.client_code);
    refusals.check_one("handshake_refused", row.server_code);
  }
  CHECK(ask(stack, "alice").status == 0);
}

TEST_CASE("who shows no certificate is refused by TLS") {
  Stack stack;
  stack.start_registry();
  const Refusals refusals(stack);
  const CommandResult refused =
      run_command({"openssl", "s_client", "-connect", stack.registry_address(), "-tls1_3", "-alpn",
                   "notp/1", "-ign_eof", "-CAfile", stack.authority_file()});
  CHECK(refused.status != 0);
  CHECK(refused.output.contains("certificate required"));
  refusals.check_one("handshake_refused", "no_certificate");

  const CliResult unconfigured = stack.notp(
      "", {"ledgers", "--registry", stack.registry_address(), "--root", stack.root_file()});
  CHECK(unconfigured.status == 2);
  CHECK(unconfigured.error_code() == "usage");
}

TEST_CASE("a registry that is none is refused by the client") {
  Stack stack;
  stack.issue("as-node", stack.authority(), [&] {
    pki::LeafOptions leaf = stack.leaf("node", "edge-9");
    leaf.server_auth = true;
    return leaf;
  }());
  stack.write_registry_config(stack.file("pki/as-node"));
  stack.start_registry();
  const CliResult refused = ask(stack, "alice");
  CHECK(refused.status == 5);
  CHECK(refused.error_code() == "identity");

  const pki::Credential stranger =
      must(pki::make_authority("another CA", pki::Validity::days(read_clock().wall_ms, 10)));
  must(write_file(stack.file("stranger.crt"), stranger.certificate_pem));
  stack.configure_cli("trusts-other", stack.file("pki/alice"), stack.file("stranger.crt"));
  const CliResult untrusted = ask(stack, "trusts-other");
  CHECK(untrusted.status == 5);
  CHECK(untrusted.error_code() == "certificate_untrusted");
}

TEST_CASE("an agent whose certificate is refused says why and goes on with what it has") {
  Stack stack;
  stack.start_registry();
  pki::LeafOptions leaf = stack.leaf("node", "edge-1");
  const TimeMs now = read_clock().wall_ms;
  leaf.validity = {now - 2 * kDayMs, now - 1'000};
  const Refusals refusals(stack);
  const Agent& agent =
      stack.start_agent({.name = "edge-1",
                         .ledgers = {kPayments},
                         .certificate = stack.issue("old", stack.authority(), leaf)});
  REQUIRE(
      wait_until([&] { return text_at(agent.status(), "last_error").contains("out of date"); }));
  CHECK_FALSE(at(agent.status(), "connected").as_bool());
  for (const json::value& line : refusals.lines()) {
    CHECK(text_at(line, "event") == "handshake_refused");
    CHECK(text_at(line, "code") == "certificate_expired");
  }
  // It retries repeatedly, and logs it once.
  REQUIRE(wait_until([&] { return refusals.lines().size() >= 3; }));
  const std::vector<json::value> said = log_lines(agent.log_file());
  CHECK(std::ranges::count_if(said, [](const json::value& line) {
          return text_at(line, "event") == "registry_unavailable";
        }) == 1);
}

TEST_CASE("a node gets the ledgers that it has a right to, and is told about the others") {
  Stack stack;
  stack.rights = {json::object{{"identity", "publisher/*"},
                               {"ledgers", json::array{"*/*"}},
                               {"actions", json::array{"read", "publish"}}},
                  json::object{{"identity", "node/*"},
                               {"ledgers", json::array{kPayments}},
                               {"actions", json::array{"read"}}}};
  stack.write_registry_config();
  stack.start_registry();
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  REQUIRE(stack.published(stack.copy_example("api-gateway"), kGateway) == 1);
  const Refusals refusals(stack);
  const Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kPayments, kGateway}});
  REQUIRE(wait_until([&] { return agent.has_active(kPayments, 1); }));
  const json::value gateway = agent.ledger_status(kGateway);
  CHECK(text_at(gateway, "refusal").contains("may not read " + kGateway));
  CHECK(number_at(gateway, "stored_version") == 0);
  CHECK(text_at(agent.ledger_status(kPayments), "refusal").empty());
  refusals.check_one("right_refused", "denied");
}

TEST_CASE("a node that publishes is refused, and so is a stranger to the fleet's state") {
  Stack stack;
  stack.start_registry();
  const std::filesystem::path payments = stack.copy_example("payments");
  REQUIRE(stack.published(payments, kPayments) == 1);
  stack.apply_example_change(payments, "lower-single-approval-limit");
  stack.configure_cli("edge", stack.issue("node", "edge"));
  {
    const Refusals refusals(stack);
    const CliResult refused = stack.notp("edge", {"publish", payments, "--ledger", kPayments});
    CHECK(refused.status == 5);
    CHECK(refused.error_code() == "denied");
    CHECK(refused.error_message().contains("nodes only read"));
    refusals.check_one("session_refused", "denied");
  }
  {
    const Refusals refusals(stack);
    const CliResult refused = stack.notp("alice", {"nodes"});
    CHECK(refused.status == 5);
    CHECK(refused.error_code() == "denied");
    refusals.check_one("right_refused", "denied");
  }
  const CliResult history = stack.notp("alice", {"history", kPayments});
  CHECK(history.document.at("releases").as_array().size() == 1);
}

TEST_CASE("a release signed by a key that the root does not name is refused") {
  Stack stack;
  stack.start_registry();
  const std::filesystem::path payments = stack.copy_example("payments");
  REQUIRE(stack.notp("", {"keygen", "--out", stack.file("mallory")}).status == 0);
  const CliResult refused = stack.notp("alice", {"publish", payments, "--ledger", kPayments,
                                                 "--signing-key", stack.file("mallory.key")});
  CHECK(refused.status == 7);
  CHECK(refused.error_code() == "signature");
}

}  // namespace
}  // namespace notp
