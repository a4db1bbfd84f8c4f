// `notp nodes` for a node that does not get the head: shows the node's own error for as long as it
// lasts.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/process/mounted_disk.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

TEST_CASE("a node with a full disk says so until it has room") {
  Stack stack;
  stack.start_registry();
  const MountedDisk disk(stack.file("edge-1.data"), 4);
  if (!disk.is_mounted()) {
    MESSAGE("no right to mount: not run");
    return;
  }
  const fs::path shop = write_shop_model(stack);
  REQUIRE(stack.published(shop, kShop) == 1);
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
  REQUIRE(stack.becomes_active(agent, kShop, 1));

  disk.fill();
  std::string users;  // incompressible
  for (uint64_t i = 1, x = 88172645463325252ULL; i <= 20'000; ++i) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    users += fmt::format("{}\"{:016x}\"", i == 1 ? "" : ", ", x);
  }
  set_users(shop, users);
  REQUIRE(stack.published(shop, kShop) == 2);
  const auto error_of_row = [&] {
    return text_at(stack.node_ledger(agent, kShop), "error.message");
  };
  REQUIRE(wait_until([&] { return error_of_row().contains("full"); }));
  // Sessions end and begin: each reports again what keeps the node back.
  const size_t sessions = stack.count_events("session_opened");
  CHECK(wait_until([&] {
    const std::string error = error_of_row();
    CHECK_MESSAGE(error.contains("full"), error);
    return stack.count_events("session_opened") >= sessions + 3;
  }));
  const json::value row = stack.node_ledger(agent, kShop);
  CHECK(number_at(row, "head_version") == 2);
  CHECK(number_at(row, "active_version") == 1);
  CHECK(text_at(row, "error.code") == "io");
  CHECK(agent.has_active(kShop, 1));

  disk.empty();
  CHECK(stack.becomes_active(agent, kShop, 2));
  CHECK(wait_until([&] { return at(stack.node_ledger(agent, kShop), "error").is_null(); }));
}

}  // namespace
}  // namespace notp
