// Disks that a kernel has remounted read-only after an error: agent and registry start with the
// stored data, and report that they store nothing.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/process/health.hpp"
#include "tests/support/process/mounted_disk.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

bool allows(const Agent& agent, const std::string& user) {
  return agent.decide("shop/allow", json::object{{"user", user}}) == json::value(true);
}

TEST_CASE("agent and registry that were killed start on read-only disks") {
  Stack stack;
  stack.registry_more["health_listen"] = "127.0.0.1:0";
  stack.write_registry_config();
  const MountedDisk of_registry(stack.file("registry.data"), 64);
  const MountedDisk of_agent(stack.file("edge-1.data"), 64);
  if (!of_registry.is_mounted() || !of_agent.is_mounted()) {
    MESSAGE("no right to mount: not run");
    return;
  }
  stack.start_registry();
  const fs::path shop = write_shop_model(stack);
  REQUIRE(stack.published(shop, kShop) == 1);
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
  REQUIRE(stack.becomes_active(agent, kShop, 1));
  CHECK(at(agent.status(), "volatile").is_null());
  CHECK(at(must(parse_json(ask_health(stack).body)), "volatile").is_null());

  // The log has data that the database does not have.
  agent.kill();
  REQUIRE(fs::file_size(stack.file("edge-1.data/agent.db-wal")) > 0);
  of_agent.set_read_only(true);
  stack.kill_registry();
  agent.start();
  REQUIRE(wait_until([&] { return agent.has_active(kShop, 1); }));
  CHECK(allows(agent, "u-1"));
  CHECK(at(agent.status(), "volatile") == json::value(true));
  CHECK(agent.count_events("store_is_volatile") == 1);

  // With a registry again, it continues from memory.
  stack.start_registry();
  set_users(shop, R"("u-9")");
  REQUIRE(stack.published(shop, kShop) == 2);
  REQUIRE(stack.becomes_active(agent, kShop, 2));
  CHECK(allows(agent, "u-9"));
  CHECK_FALSE(allows(agent, "u-1"));

  stack.kill_registry();
  of_registry.set_read_only(true);
  stack.start_registry();
  CHECK(at(must(parse_json(ask_health(stack).body)), "volatile") == json::value(true));
  CHECK(stack.count_events("data_dir_is_read_only") == 1);
  const CliResult history = stack.notp("alice", {"history", kShop});
  REQUIRE_MESSAGE(history.status == 0, history.error);
  CHECK(at(history.document, "releases").as_array().size() == 2);
  set_users(shop, R"("u-10")");
  const CliResult refused = stack.publish(shop, kShop);
  CHECK(refused.status != 0);
  CHECK(refused.error_code() == "io");
  CHECK(wait_until([&] { return stack.is_at_head(agent, kShop); }));
  // A restarted node is behind its own past, and is served again.
  agent.kill();
  agent.start();
  CHECK(stack.becomes_active(agent, kShop, 2));

  // The disk is writable again: everything is stored from the next start on.
  stack.kill_registry();
  agent.kill();
  of_registry.set_read_only(false);
  of_agent.set_read_only(false);
  stack.start_registry();
  agent.start();
  CHECK(stack.published(shop, kShop) == 3);
  CHECK(stack.becomes_active(agent, kShop, 3));
  CHECK(at(agent.status(), "volatile").is_null());
}

// A closed database has no log, and on such a disk none can be created.
TEST_CASE("agent and registry that were stopped start on read-only disks") {
  Stack stack;
  const MountedDisk of_registry(stack.file("registry.data"), 64);
  const MountedDisk of_agent(stack.file("edge-1.data"), 64);
  if (!of_registry.is_mounted() || !of_agent.is_mounted()) {
    MESSAGE("no right to mount: not run");
    return;
  }
  stack.start_registry();
  REQUIRE(stack.published(write_shop_model(stack), kShop) == 1);
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
  REQUIRE(stack.becomes_active(agent, kShop, 1));
  agent.stop();
  stack.stop_registry();
  REQUIRE_FALSE(fs::exists(stack.file("edge-1.data/agent.db-wal")));
  REQUIRE_FALSE(fs::exists(stack.file("registry.data/fleet.db-wal")));
  of_agent.set_read_only(true);
  of_registry.set_read_only(true);
  agent.start();
  REQUIRE(wait_until([&] { return agent.has_active(kShop, 1); }));
  CHECK(allows(agent, "u-1"));
  stack.start_registry();
  CHECK(stack.notp("alice", {"history", kShop}).status == 0);
  CHECK(stack.becomes_active(agent, kShop, 1));
}

}  // namespace
}  // namespace notp
