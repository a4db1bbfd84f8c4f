// The life of a node from an administrator's first command to the last: a token, a folder, an
// agent, an eviction and a return.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "protocol/transport/join_token.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

const std::string kTransfer = "payments/transfer/decision";

class Scene {
 public:
  Scene() {
    stack.registry_more["deny_list"] = kDenyList;
    stack.allow_joins();
    stack.write_registry_config();
    stack.start_registry();
    REQUIRE(stack.published(payments, kPayments) == 1);
  }

  std::string token_for(const std::string& name, const std::string& ttl = "1h",
                        bool replace = false) {
    std::vector<std::string> arguments{"node", "enroll", name, "--ttl", ttl};
    if (replace) arguments.push_back("--replace");
    const CliResult made = stack.notp("eve", std::move(arguments));
    REQUIRE_MESSAGE(made.status == 0, made.error);
    CHECK(text_at(made.document, "node") == test_uri("node", name));
    return text_at(made.document, "token");
  }
  // The result of `notp-client enroll` in a folder.
  Finished join(const std::string& token, const std::string& folder) {
    const std::string log = fmt::format("join-{}", joins_++);
    Process process({.command = {stack.program("notp-client"), "enroll", "--token", token, "--dir",
                                 stack.file(folder), "--ledger", kPayments},
                     .folder = stack.folder(),
                     .environment = {},
                     .output_file = stack.file(log + ".out"),
                     .error_file = stack.file(log + ".err")});
    const int status = process.wait().value_or(-1);
    return {status, process.output(), process.error()};
  }
  Agent& start(const std::string& name) {
    return stack.start_agent(
        {.name = name, .ledgers = {}, .config = stack.file(name) / "client.yaml"});
  }
  // A node that has joined and has the first release.
  Agent& joined(const std::string& name) {
    REQUIRE(join(token_for(name), name).status == 0);
    Agent& agent = start(name);
    REQUIRE(stack.becomes_active(agent, kPayments, 1));
    return agent;
  }
  bool decides(const Agent& agent) const { return agent.decide(kTransfer, transfer).has_value(); }

  Stack stack{{.freshness_interval_s = 1}};
  const fs::path payments = stack.copy_example("payments");
  const json::value transfer = stack.example_question("transfer-750-euros");

 private:
  int joins_ = 0;
};

bool is_connected(const Agent& agent) {
  const json::value status = agent.status();
  return status.is_object() && at(status, "connected").as_bool();
}

TEST_CASE("a node that has nothing but a token decides, is listed, is shut out and comes back") {
  Scene scene;
  Stack& stack = scene.stack;
  const std::string token = scene.token_for("edge-9");
  const Finished joined = scene.join(token, "edge-9");
  REQUIRE_MESSAGE(joined.status == 0, joined.error);
  CHECK(joined.output.contains(test_uri("node", "edge-9")));
  const fs::perms mode = fs::status(stack.file("edge-9/node.pem")).permissions();
  CHECK((mode & (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none);
  const Agent& agent = scene.start("edge-9");
  REQUIRE(stack.becomes_active(agent, kPayments, 1));
  CHECK(scene.decides(agent));
  const CliResult shown = stack.notp("eve", {"node", "show", "edge-9"});
  REQUIRE_MESSAGE(shown.status == 0, shown.error);
  CHECK(shown.document.at("connected").as_bool());
  CHECK(number_at(shown.document.at("ledgers").at(0), "active_version") == 1);
  const CliResult listed = stack.notp("eve", {"node", "list"});
  REQUIRE_MESSAGE(listed.status == 0, listed.error);
  CHECK(listed.document.at("nodes").as_array().size() == 1);
  CHECK(stack.notp("eve", {"node", "show", "edge-8"}).status == 8);

  // By its terms it may decide for a while.
  set_single_approval_max(scene.payments, 90'000);
  const CliResult published = stack.notp("alice", {"publish", scene.payments, "--ledger", kPayments,
                                                   "--stale-after", "2s", "--expire-after", "6s"});
  REQUIRE_MESSAGE(published.status == 0, published.error);
  REQUIRE(stack.becomes_active(agent, kPayments, 2));

  const std::string unused = scene.token_for("edge-9", "1h", true);
  const CliResult evicted =
      stack.notp("alice", {"node", "evict", "edge-9", "--reason", "left in a train"});
  REQUIRE_MESSAGE(evicted.status == 0, evicted.error);
  REQUIRE(wait_until([&] { return stack.count_events("session_refused", "revoked") > 0; }));
  REQUIRE(wait_until([&] {
    return !is_connected(agent) &&
           text_at(agent.status(), "last_error").contains("left in a train");
  }));
  REQUIRE(
      wait_until([&] { return text_at(agent.ledger_status(kPayments), "state") == "expired"; }));
  REQUIRE(wait_until([&] { return !scene.decides(agent); }));
  CHECK_FALSE(is_connected(agent));
  // It gets no other certificate, not even with an earlier token.
  const CliResult refused = stack.notp("eve", {"node", "enroll", "edge-9"});
  CHECK(refused.status == 5);
  CHECK(refused.error_code() == "revoked");
  CHECK(scene.join(unused, "edge-9-again").status == 5);
  CHECK_FALSE(fs::exists(stack.file("edge-9-again/node.pem")));

  const CliResult readmitted =
      stack.notp("alice", {"node", "readmit", "edge-9", "--reason", "it was found"});
  REQUIRE_MESSAGE(readmitted.status == 0, readmitted.error);
  REQUIRE(wait_until([&] { return is_connected(agent); }));
  REQUIRE(wait_until([&] { return text_at(agent.ledger_status(kPayments), "state") == "fresh"; }));
  REQUIRE(wait_until([&] { return scene.decides(agent); }));
  const CliResult history = stack.notp("alice", {"history", kDenyList});
  REQUIRE_MESSAGE(history.status == 0, history.error);
  CHECK(history.output.contains("left in a train"));
  CHECK(history.output.contains("it was found"));
}

TEST_CASE("what the registry and an agent keep is for their own user alone") {
  Scene scene;
  Stack& stack = scene.stack;
  scene.joined("edge-1");
  const auto is_private = [](const fs::path& path) {
    return (fs::status(path).permissions() & (fs::perms::group_all | fs::perms::others_all)) ==
           fs::perms::none;
  };
  const fs::path data = stack.file("registry.data"), store = stack.file("edge-1/store");
  CHECK(is_private(data));
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(data)) {
    CHECK_MESSAGE(is_private(entry.path()), entry.path().string());
    ++files;
  }
  CHECK(files > 10);
  CHECK(is_private(store));
  for (const auto& entry : fs::directory_iterator(store))
    if (entry.path().filename().string().starts_with("agent.db"))
      CHECK_MESSAGE(is_private(entry.path()), entry.path().string());
}

TEST_CASE("who has a node's key loses it when another machine gets the node's name") {
  Scene scene;
  Stack& stack = scene.stack;
  const Agent& stolen = scene.joined("edge-1");

  const CliResult known = stack.notp("eve", {"node", "enroll", "edge-1"});
  CHECK(known.status == 4);
  CHECK(known.error_code() == "conflict");
  CHECK(known.error_message().contains("--replace"));
  const std::string token = scene.token_for("edge-1", "1h", true);
  CHECK(is_connected(stolen));
  REQUIRE(scene.join(token, "new").status == 0);
  CHECK(stack.count_events("identity_replaced") == 1);
  REQUIRE(wait_until([&] { return stack.count_events("session_refused", "revoked") > 0; }));
  REQUIRE(wait_until([&] {
    return !is_connected(stolen) &&
           text_at(stolen.status(), "last_error").contains("given to another key");
  }));
  // It cannot join again, while the machine with the name can; a restart changes nothing.
  Agent& fresh = stack.start_agent(
      {.name = "edge-1-new", .ledgers = {}, .config = stack.file("new") / "client.yaml"});
  REQUIRE(wait_until([&] { return fresh.has_active(kPayments, 1); }));
  stack.stop_registry();
  stack.start_registry();
  REQUIRE(wait_until([&] { return is_connected(fresh); }));
  CHECK_FALSE(is_connected(stolen));
}

TEST_CASE("the right to enrol is for some names alone") {
  Scene scene;
  Stack& stack = scene.stack;
  for (json::value& rule : stack.rights)
    if (rule.at("identity").as_string().starts_with("admin/"))
      rule.as_object()["nodes"] = json::array{"shop-*"};
  stack.write_registry_config();
  stack.reload_registry();
  CHECK_FALSE(scene.token_for("shop-1").empty());
  const CliResult refused = stack.notp("eve", {"node", "enroll", "edge-1"});
  CHECK(refused.status == 5);
  CHECK(refused.error_code() == "denied");
}

TEST_CASE("a token counts once, for a while, and as it was made") {
  Scene scene;
  Stack& stack = scene.stack;
  const std::string token = scene.token_for("edge-1");
  REQUIRE(scene.join(token, "edge-1").status == 0);

  const Finished twice = scene.join(token, "edge-2");
  CHECK(twice.status == 5);
  REQUIRE(wait_until([&] { return stack.count_events("join_refused", "join_refused") == 1; }));

  transport::JoinToken guessed = must(transport::JoinToken::decode(scene.token_for("edge-3")));
  guessed.secret.front() = static_cast<char>(guessed.secret.front() ^ 1);
  CHECK(scene.join(guessed.encode(), "edge-3").status == 5);
  transport::JoinToken elsewhere = must(transport::JoinToken::decode(scene.token_for("edge-3")));
  elsewhere.authority = sha256("another authority");
  CHECK(scene.join(elsewhere.encode(), "edge-3").status == 5);
  std::string mistyped = scene.token_for("edge-3");
  mistyped[mistyped.size() / 2] = mistyped[mistyped.size() / 2] == 'A' ? 'B' : 'A';
  CHECK(scene.join(mistyped, "edge-3").status == 2);

  const std::string brief = scene.token_for("edge-4", "1s");
  const TimeMs made_ms = read_clock().wall_ms;
  REQUIRE(wait_until([&] { return read_clock().wall_ms > made_ms + 1'000; }));
  CHECK(scene.join(brief, "edge-4").status == 5);

  for (const char* name : {"edge-2", "edge-3", "edge-4"})
    CHECK_FALSE(fs::exists(stack.file(name) / "node.pem"));
  CHECK(stack.notp("eve", {"node", "enroll", "edge-5", "--ttl", "8d"}).status == 2);
  CHECK(stack.notp("alice", {"node", "enroll", "edge-5"}).status == 5);
}

}  // namespace
}  // namespace notp
