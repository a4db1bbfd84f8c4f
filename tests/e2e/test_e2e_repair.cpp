// A damaged disk at a node, and a registry restored from a copy: the real programs send the missing
// content, and decisions use nothing else.
#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tools/bench/counting_proxy.hpp"

namespace notp {
namespace {

constexpr size_t kOthers = 300;

// The example model with a rule in each of many more files, so that the whole is much larger than a
// part.
std::filesystem::path large_model(Stack& stack) {
  const std::filesystem::path model = stack.copy_example("payments");
  std::filesystem::create_directories(model / "payments/more");
  for (size_t i = 0; i < kOthers; ++i) {
    const std::string noise = to_hex(sha256(fmt::format("rule {}", i)).view());
    REQUIRE(write_file(model / fmt::format("payments/more/r{}.rego", i),
                       fmt::format("package payments.more.r{}\n\nid := \"{}\"\n", i, noise)));
  }
  return model;
}

// Changes the first stored byte of some contents.
int damage(const Stack& stack, const Agent& agent, std::string_view which) {
  SQLite::Database database(stack.file(agent.name() + ".data") / "agent.db",
                            SQLite::OPEN_READWRITE);
  return database.exec(fmt::format(
      "UPDATE blob_contents SET content = x'ff' || substr(content, 2) WHERE {}", which));
}

// An agent behind a proxy that counts the bytes it receives.
struct Counted {
  bench::CountingProxy proxy;
  bench::Route* route;
  Agent& agent;

  explicit Counted(Stack& stack)
      : route(must(proxy.add_route(static_cast<uint16_t>(stack.registry_port()), true))),
        agent(stack.start_agent({.name = "edge-1",
                                 .ledgers = {kPayments},
                                 .registry = fmt::format("127.0.0.1:{}", route->port())})) {}
  bench::Traffic taken() {
    must(route->wait_closed(10'000));
    return route->take().without_pings();
  }
};

bool has_alarm(const Agent& agent, std::string_view words) {
  return json::serialize(at(agent.status(), "alarms")).find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("damage is found when it is read, told while the registry is away, and repaired alone") {
  Stack stack;
  stack.start_registry();
  REQUIRE(stack.published(large_model(stack), kPayments) == 1);
  Counted counted(stack);
  Agent& agent = counted.agent;
  REQUIRE(stack.becomes_active(agent, kPayments, 1));
  CHECK(agent.stop() == 0);
  const bench::Traffic whole = counted.taken();

  stack.stop_registry();
  REQUIRE(damage(stack, agent, "blob = 20") == 1);
  agent.start();
  REQUIRE(wait_until([&] { return has_alarm(agent, "1 of the stored contents"); }));
  CHECK_FALSE(agent.has_active(kPayments, 1));

  stack.start_registry();
  REQUIRE(wait_until([&] { return agent.has_active(kPayments, 1); }));
  CHECK(agent.stop() == 0);
  const bench::Traffic repair = counted.taken();
  MESSAGE(fmt::format("whole {} bytes, repair {} bytes in all", whole.down_bytes(),
                      repair.down_bytes()));
  // Most of it is the handshake, of one session or, after a too early attempt, two.
  CHECK(repair.down_bytes() * 2 < whole.down_bytes());

  agent.start();
  REQUIRE(wait_until([&] { return agent.has_active(kPayments, 1); }));
  CHECK(at(agent.status(), "alarms").as_array().empty());
}

TEST_CASE("a registry restored from a copy sends what differs, in two round trips") {
  Stack stack;
  stack.start_registry();
  const std::filesystem::path model = large_model(stack);
  REQUIRE(stack.published(model, kPayments) == 1);
  CHECK(stack.stop_registry() == 0);
  std::filesystem::copy(stack.file("registry.data"), stack.file("registry.copy"),
                        std::filesystem::copy_options::recursive);
  stack.start_registry();
  for (const int cents : {1'000, 2'000}) {
    set_single_approval_max(model, cents);
    REQUIRE(stack.published(model, kPayments) > 1);
  }
  Counted counted(stack);
  Agent& agent = counted.agent;
  REQUIRE(stack.becomes_active(agent, kPayments, 3));
  CHECK(agent.stop() == 0);
  const bench::Traffic whole = counted.taken();

  CHECK(stack.stop_registry() == 0);
  std::filesystem::remove_all(stack.file("registry.data"));
  std::filesystem::rename(stack.file("registry.copy"), stack.file("registry.data"));
  // A publisher that has seen the lost releases does not trust this registry any more.
  std::filesystem::remove_all(stack.file("alice.home"));
  stack.start_registry();
  // The next version after the node's would be a fork; the one after that is accepted.
  for (int64_t version = 1; version < 5; ++version) {
    set_single_approval_max(model, 1'000 * (version + 2));
    const CliResult result = stack.notp("alice", {"publish", model, "--ledger", kPayments,
                                                  "--expect-version", std::to_string(version)});
    REQUIRE_MESSAGE(result.status == 0, result.error);
  }
  agent.start();
  REQUIRE(stack.becomes_active(agent, kPayments, 5));
  CHECK(agent.stop() == 0);
  const bench::Traffic rest = counted.taken();
  MESSAGE(fmt::format("whole {} bytes down, {} up; what differs {} down, {} up", whole.down_bytes(),
                      whole.up_bytes(), rest.down_bytes(), rest.up_bytes()));
  CHECK(rest.down_bytes() * 2 < whole.down_bytes());
  // The leaves of its files.
  CHECK(rest.up_bytes() > whole.up_bytes() + kOthers * 8);
}

TEST_CASE("a ledger that left the configuration takes its content along, and its floor stays") {
  Stack stack;
  stack.start_registry();
  const std::filesystem::path model = large_model(stack);
  REQUIRE(stack.published(model, kPayments) == 1);
  REQUIRE(stack.published(stack.copy_example("api-gateway"), kGateway) == 1);
  CHECK(stack.stop_registry() == 0);
  std::filesystem::copy(stack.file("registry.data"), stack.file("registry.copy"),
                        std::filesystem::copy_options::recursive);
  stack.start_registry();
  set_single_approval_max(model, 1'000);
  REQUIRE(stack.published(model, kPayments) == 2);
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kPayments, kGateway}});
  REQUIRE(stack.becomes_active(agent, kPayments, 2));
  REQUIRE(stack.becomes_active(agent, kGateway, 1));
  CHECK(agent.stop() == 0);
  const auto stored = [&](const std::string& sql) {
    SQLite::Database database(stack.file(agent.name() + ".data") / "agent.db");
    SQLite::Statement query(database, sql);
    query.bind(1, kPayments);
    query.executeStep();
    return query.getColumn(0).getInt64();
  };
  const std::string files = "SELECT COUNT(*) FROM files JOIN ledgers ON id = ledger WHERE name = ?";
  const std::string unused_content =
      "SELECT (SELECT COUNT(*) FROM blobs WHERE id NOT IN (SELECT blob FROM files)) + "
      "(SELECT COUNT(*) FROM released WHERE ?1 = ?1)";
  const auto is_in_file = [&](std::string_view text) {
    return must(read_file(stack.file(agent.name() + ".data") / "agent.db", 1 << 30)).contains(text);
  };
  REQUIRE(stored(files) > static_cast<int64_t>(kOthers));
  REQUIRE(is_in_file("package payments.more"));

  // Leaves some work to idle time.
  agent.use_ledgers({kGateway});
  REQUIRE(wait_until([&] {
    agent.start();
    const bool serves = wait_until([&] { return agent.has_active(kGateway, 1); });
    return agent.stop() == 0 && serves && stored(files) + stored(unused_content) == 0;
  }));
  CHECK(agent.count_events("ledger_dropped") >= 1);
  CHECK(stored("SELECT COUNT(*) FROM releases r JOIN ledgers l ON l.id = r.ledger "
               "WHERE name = ?") == 0);
  CHECK(stored("SELECT version FROM ledgers WHERE name = ?") == 2);
  // A SQLite that overwrites deleted data leaves no byte of it.
  if (stored("SELECT secure_delete + (?1 <> ?1) FROM pragma_secure_delete") == 1)
    CHECK_FALSE(is_in_file("package payments.more"));

  // It returns, and the registry has lost a release that the node had verified.
  CHECK(stack.stop_registry() == 0);
  std::filesystem::remove_all(stack.file("registry.data"));
  std::filesystem::rename(stack.file("registry.copy"), stack.file("registry.data"));
  std::filesystem::remove_all(stack.file("alice.home"));
  stack.start_registry();
  agent.use_ledgers({kPayments, kGateway});
  agent.start();
  REQUIRE(wait_until([&] { return has_alarm(agent, "is below release 2 of epoch 1"); }));
  REQUIRE(wait_until([&] { return agent.has_active(kGateway, 1); }));
  CHECK(number_at(agent.ledger_status(kPayments), "stored_version") == 0);
  CHECK_FALSE(agent.has_active(kPayments, 1));
  // Versions 2 and 3 of this history contradict the floor, the one by its place and the other by
  // the release that it follows; version 4 is accepted.
  for (int64_t version = 1; version <= 3; ++version) {
    set_single_approval_max(model, 1'000 * (version + 2));
    const CliResult result = stack.notp("alice", {"publish", model, "--ledger", kPayments,
                                                  "--expect-version", std::to_string(version)});
    REQUIRE_MESSAGE(result.status == 0, result.error);
  }
  REQUIRE(stack.becomes_active(agent, kPayments, 4));
}

}  // namespace notp
