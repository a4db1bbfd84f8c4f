// Identities over time: nodes join, renew and are evicted, and authorities change.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/http/client.hpp"
#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

constexpr TimeMs kHourMs = 3'600'000;

bool is_connected(const Agent& agent) {
  const json::value status = agent.status();
  return status.is_object() && at(status, "connected").as_bool();
}

size_t sessions_of(const Stack& stack, const Agent& agent) {
  size_t count = 0;
  for (const json::value& line : stack.registry_log())
    count +=
        text_at(line, "event") == "session_opened" && text_at(line, "identity") == agent.identity();
  return count;
}

size_t count_lines(const std::filesystem::path& log, std::string_view event) {
  size_t count = 0;
  for (const json::value& line : log_lines(log)) count += text_at(line, "event") == event;
  return count;
}

TEST_CASE("an authority that is taken away ends the sessions of its nodes and no other") {
  Stack stack;
  const pki::Credential second =
      must(pki::make_authority("second CA", pki::Validity::days(read_clock().wall_ms, 10)));
  const auto trust = [&](const std::string& pem) {
    must(write_file(stack.file("registry-ca.crt"), pem));
  };
  const std::string first_pem = stack.authority().certificate_pem;
  trust(first_pem);
  stack.registry_more["tls"] =
      json::object{{"certificate", (stack.file("pki") / "main.crt").string()},
                   {"key", (stack.file("pki") / "main.key").string()},
                   {"ca", stack.file("registry-ca.crt").string()}};
  stack.write_registry_config();
  stack.start_registry();
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  const Agent& old_node = stack.start_agent({.name = "old", .ledgers = {kPayments}});
  REQUIRE(wait_until([&] { return is_connected(old_node); }));

  // Trusts both for a while; the change is found without a signal.
  trust(first_pem + second.certificate_pem);
  REQUIRE(wait_until([&] { return stack.count_events("certificates_reloaded") == 1; }));
  const Agent& new_node = stack.start_agent(
      {.name = "new",
       .ledgers = {kPayments},
       .certificate = stack.issue("new-node", second, stack.leaf("node", "new"))});
  REQUIRE(wait_until([&] { return is_connected(new_node); }));
  CHECK(sessions_of(stack, old_node) == 1);

  trust(second.certificate_pem);
  REQUIRE(
      wait_until([&] { return stack.count_events("session_refused", "certificate_untrusted"); }));
  REQUIRE(wait_until([&] { return !is_connected(old_node); }));
  CHECK(is_connected(new_node));
  CHECK(sessions_of(stack, new_node) == 1);
  CHECK(stack.count_events("session_refused", "certificate_untrusted") == 1);
  CHECK(old_node.has_active(kPayments, 1));  // decides with its stored release
}

TEST_CASE("a session ends with the certificate that it began with") {
  Stack stack;
  stack.start_registry();
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  pki::LeafOptions leaf = stack.leaf("node", "short");
  leaf.validity = {read_clock().wall_ms - kHourMs, read_clock().wall_ms + 20'000};
  const Agent& agent =
      stack.start_agent({.name = "short",
                         .ledgers = {kPayments},
                         .certificate = stack.issue("short-lived", stack.authority(), leaf)});
  REQUIRE(wait_until([&] { return sessions_of(stack, agent) == 1; }));
  REQUIRE(wait_until(
      [&] { return stack.count_events("session_refused", "certificate_expired") == 1; }));
  CHECK(read_clock().wall_ms >= leaf.validity.not_after_ms / 1000 * 1000);
  CHECK(agent.has_active(kPayments, 1));
}

TEST_CASE("who is denied is cut off at once, and let in again when the list says so") {
  Stack stack;
  stack.registry_more["deny_list"] = kDenyList;
  stack.write_registry_config();
  stack.start_registry();
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  const Agent& stolen = stack.start_agent({.name = "stolen", .ledgers = {kPayments}});
  const Agent& kept = stack.start_agent({.name = "kept", .ledgers = {kPayments}});
  REQUIRE(wait_until([&] { return is_connected(stolen) && is_connected(kept); }));

  REQUIRE(stack.published(stack.write_deny_list({stolen.identity()}), kDenyList) == 1);
  REQUIRE(wait_until([&] { return stack.count_events("session_refused", "revoked") > 0; }));
  REQUIRE(wait_until([&] {
    return text_at(stolen.status(), "last_error").contains("deny list") && !is_connected(stolen);
  }));
  CHECK(sessions_of(stack, kept) == 1);
  CHECK(sessions_of(stack, stolen) == 1);

  // An invalid deny list is refused at publish, and changes nothing.
  const std::filesystem::path list = stack.write_deny_list({});
  must(write_file(list / "notp/denied/data.json", R"({"identities": {"edge": true}})"));
  const CliResult refused = stack.publish(list, kDenyList);
  CHECK(refused.status == 3);
  CHECK_FALSE(is_connected(stolen));

  // It persists across a restart.
  stack.stop_registry();
  stack.start_registry();
  REQUIRE(wait_until([&] { return is_connected(kept); }));
  CHECK(sessions_of(stack, stolen) == 1);

  REQUIRE(stack.published(stack.write_deny_list({}), kDenyList) == 2);
  REQUIRE(wait_until([&] { return is_connected(stolen); }));
}

// --- enrolment

struct Enrolling : Stack {
  Enrolling() {
    registry_more["enroll"] = json::object{{"listen", "127.0.0.1:0"},
                                           {"authority_certificate", authority_file().string()},
                                           {"authority_key", (file("pki") / "ca.key").string()},
                                           {"port_file", file("enroll.port").string()}};
    rights.push_back(json::object{{"identity", "admin/*"},
                                  {"ledgers", json::array{"*/*"}},
                                  {"actions", json::array{"enroll"}}});
    write_registry_config();
    start_registry();
  }

  int enroll(const std::string& token, const std::string& name) {
    Process process({.command = {program("notp-client"), "enroll", "--token", token, "--dir",
                                 file(name), "--ledger", kPayments},
                     .folder = folder(),
                     .environment = {},
                     .output_file = file(name + ".enroll.log"),
                     .error_file = file(name + ".enroll.log")});
    return process.wait().value_or(-1);
  }
  // Starts the agent with the configuration that enroll wrote.
  Process start(const std::string& name, int port) {
    return Process({.command = {program("notp-client"), "--config", file(name) / "client.yaml"},
                    .folder = folder(),
                    .environment = {{"NOTP_CLIENT_LISTEN", fmt::format("127.0.0.1:{}", port)},
                                    {"NOTP_CLIENT_BACKOFF_FIRST_MS", "20"}},
                    .output_file = file(name + ".log"),
                    .error_file = file(name + ".log")});
  }
  std::string token_for(const std::string& name) {
    const CliResult made = notp("eve", {"node", "enroll", name});
    if (made.status != 0) throw std::runtime_error("notp node enroll: " + made.error);
    return text_at(made.document, "token");
  }
};

bool decides(int port, const std::string& ledger, int64_t version) {
  const auto answer =
      http::call_blocking({.url = fmt::format("http://127.0.0.1:{}/v1/status", port)});
  if (!answer || answer->status != 200) return false;
  const json::value body = must(parse_json(answer->body));
  for (const json::value& row : at(body, "ledgers").as_array())
    if (text_at(row, "ledger") == ledger) return number_at(row, "active_version") == version;
  return false;
}

TEST_CASE("a node joins with a token, decides, and renews its certificate without a break") {
  Enrolling stack;
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  CHECK(stack.notp("alice", {"node", "enroll", "edge-1"}).status == 5);
  const std::string token = stack.token_for("edge-1");
  REQUIRE(stack.enroll(token, "edge-1") == 0);
  CHECK(stack.enroll(token, "edge-2") == 5);  // used
  REQUIRE(wait_until([&] { return stack.count_events("join_refused", "join_refused") == 1; }));

  // As after half of its life.
  const std::filesystem::path pem = stack.file("edge-1/node.pem");
  pki::LeafOptions leaf = stack.leaf("node", "edge-1");
  const TimeMs now = read_clock().wall_ms;
  leaf.validity = {now - 20 * kHourMs, now + kHourMs};
  const pki::Credential aged = must(pki::issue(stack.authority(), leaf));
  must(write_file(pem, aged.key_pem + aged.certificate_pem, 0600));
  const int port = free_port();
  Process agent = stack.start("edge-1", port);
  REQUIRE(wait_until([&] { return decides(port, kPayments, 1); }));
  REQUIRE(wait_until(
      [&] { return count_lines(stack.file("edge-1.log"), "certificates_reloaded") == 1; }));
  const auto renewed = must(transport::TlsContext::load(
      {pem, pem, stack.file("edge-1/ca.crt"), std::string(kStackDomain)},
      transport::Side::kClient));
  CHECK(renewed->not_after_ms() > leaf.validity.not_after_ms);
  CHECK(renewed->identity()->text() == test_uri("node", "edge-1"));
  CHECK(must(read_file(pem, limits::kPemBytesMax)).find(aged.key_pem) == std::string::npos);
  CHECK(stack.count_events("certificate_renewed") == 1);
  size_t opened = 0;
  for (const json::value& line : stack.registry_log())
    opened += text_at(line, "event") == "session_opened" &&
              text_at(line, "identity") == test_uri("node", "edge-1");
  CHECK(opened == 1);
}

TEST_CASE(
    "an agent takes certificates that change without a signal, and waits for the other half") {
  Stack stack;
  stack.start_registry();
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  const Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
  REQUIRE(wait_until([&] { return is_connected(agent); }));
  const pki::Credential next = must(pki::issue(stack.authority(), stack.leaf("node", "edge-1")));
  must(write_file(stack.file("pki/edge-1.crt"), next.certificate_pem));
  REQUIRE(
      wait_until([&] { return count_lines(agent.log_file(), "certificates_not_reloaded") == 1; }));
  must(write_file(stack.file("pki/edge-1.key"), next.key_pem, 0600));
  REQUIRE(wait_until([&] { return count_lines(agent.log_file(), "certificates_reloaded") == 1; }));
  CHECK(count_lines(agent.log_file(), "certificates_not_reloaded") == 1);
  CHECK(sessions_of(stack, agent) == 1);
}

}  // namespace
}  // namespace notp
