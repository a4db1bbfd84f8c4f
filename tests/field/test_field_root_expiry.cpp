// A root that is about to expire, and an expired one: everyone who can act is warned in time, and a
// next root ends the warnings.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/clock.hpp"
#include "common/http/client.hpp"
#include "common/storage/files.hpp"
#include "protocol/trust/statements.hpp"
#include "tests/support/process/health.hpp"
#include "tests/support/process/shell.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

struct Scene {
  Stack stack;
  Agent* agent = nullptr;

  // Its only root expires after this time; below zero: it has expired.
  explicit Scene(TimeMs left_ms) {
    const Bytes before = read_text(stack.root_file());
    trust::Root root = must(trust::Root::decode(must(trust::Envelope::decode(before)).payload));
    const TimeMs now_ms = read_clock().wall_ms;
    root.expires_ms = now_ms + left_ms;
    root.issued_ms = std::min(root.issued_ms, root.expires_ms - 1000);
    trust::Envelope envelope = trust::envelope_of(root);
    trust::sign_envelope(envelope,
                         must(PrivateKey::from_pem(read_text(stack.file("root-key.key")))));
    must(write_file(stack.root_file(), envelope.encode()));
    stack.registry_more["health_listen"] = "127.0.0.1:0";
    stack.grant("admin", "trust");
    stack.write_registry_config();
    stack.start_registry();
    agent = &stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
  }
  // The output at a terminal.
  Ran at_terminal(std::vector<std::string> words) {
    words.insert(words.begin(), {stack.program("notp"), "--config", stack.file("eve.cli.yaml")});
    return shell.run(words);
  }
  json::value health() { return must(parse_json(ask_health(stack).body)); }
  std::string state_at_agent() const { return text_at(agent->status(), "root_expiry"); }
  // The level of the log's last line about it.
  static std::string level_in(const fs::path& log, std::string_view state) {
    std::string level;
    for (const json::value& line : log_lines(log))
      if (text_at(line, "event") == "root_expiry" && text_at(line, "state") == state)
        level = text_at(line, "level");
    return level;
  }
  void replace_root() {
    const std::string next = stack.file("root-2.envelope");
    const auto run = [&](std::vector<std::string> words) {
      const CliResult result = stack.notp("eve", std::move(words));
      REQUIRE_MESSAGE(result.status == 0, result.error);
    };
    run({"root", "set-expiry", stack.root_file(), "--expires-in", "365", "--out", next});
    run({"root", "sign", next, "--previous", stack.root_file(), "--key", stack.file("root-key.key"),
         "--yes"});
    run({"root", "publish", next});
  }

  Shell shell;
};

constexpr TimeMs kDayMs = 24LL * 3600 * 1000;

TEST_CASE("a root near its end is warned of by all, and by none once the next one is there") {
  struct Near {
    TimeMs left_ms;
    const char *state, *level;
  };
  for (const Near& near :
       {Near{20 * kDayMs, "soon", "warn"}, Near{3 * kDayMs, "urgent", "error"}}) {
    CAPTURE(near.state);
    Scene scene(near.left_ms);
    Stack& stack = scene.stack;
    const fs::path shop = write_shop_model(stack);
    REQUIRE(stack.published(shop, kShop) == 1);
    REQUIRE(stack.becomes_active(*scene.agent, kShop, 1));

    CHECK(text_at(scene.health(), "root_expiry") == near.state);
    CHECK(number_at(scene.health(), "root_expires_ms") > read_clock().wall_ms);
    CHECK(scene.state_at_agent() == near.state);
    CHECK(ask_health(stack, "/metrics").body.contains("notp_root_expires_timestamp_seconds 1"));
    const auto metrics = http::call_blocking({.url = scene.agent->url() + "/metrics"});
    REQUIRE(metrics);
    CHECK(metrics->body.contains("notp_agent_root_expires_timestamp_seconds 1"));
    CHECK(Scene::level_in(stack.registry_log_file(), near.state) == near.level);
    CHECK(Scene::level_in(scene.agent->log_file(), near.state) == near.level);
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"nodes"},
          {"root", "show", stack.root_file()},
          {"ledgers"},
          {"publish", shop, "--ledger", kShop, "-m", "again", "--allow-empty", "--dry-run",
           "--onto-head"}}) {
      const Ran ran = scene.at_terminal(words);
      CHECK_MESSAGE(ran.error.contains("warning: root 1 of core-platform.internal expires in"),
                    words.front() << ran.error);
    }

    scene.replace_root();
    REQUIRE(wait_until([&] { return scene.state_at_agent() == "far"; }));
    CHECK(Scene::level_in(scene.agent->log_file(), "far") == "info");
    CHECK(text_at(scene.health(), "root_expiry") == "far");
    CHECK_FALSE(scene.at_terminal({"nodes"}).error.contains("expires in"));
  }
}

TEST_CASE("under an expired root the fleet can be looked at, and the next root ends it") {
  Scene scene(-kDayMs);
  Stack& stack = scene.stack;
  REQUIRE(wait_until([&] { return scene.agent->count_events("alarm", "expired") > 0; }));
  CHECK(scene.state_at_agent() == "expired");
  CHECK(text_at(scene.health(), "root_expiry") == "expired");
  CHECK(Scene::level_in(stack.registry_log_file(), "expired") == "error");
  const Ran nodes = scene.at_terminal({"nodes"});
  CHECK(nodes.status == 0);
  CHECK_MESSAGE(nodes.error.contains("expired 24 hours ago"), nodes.error);
  const fs::path shop = write_shop_model(stack);
  const CliResult refused = stack.publish(shop, kShop);
  CHECK(refused.error_code() == "expired");

  scene.replace_root();
  REQUIRE(stack.published(shop, kShop) == 1);
  CHECK(stack.becomes_active(*scene.agent, kShop, 1));
  REQUIRE(wait_until([&] { return scene.state_at_agent() == "far"; }));
}

}  // namespace
}  // namespace notp
