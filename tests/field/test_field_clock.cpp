// The clock of an edge node jumps ahead and is corrected: a dead battery, a resumed virtual
// machine, a GPS week rollover.
#include <doctest/doctest.h>

#include "tests/support/process/faked_clock.hpp"

namespace notp {
namespace {

struct Scene {
  Stack stack{{.freshness_interval_s = 1}};
  const FakedClock clock{stack.file("clock.offset")};
  const json::value transfer = stack.example_question("transfer-750-euros");
  Agent* agent = nullptr;

  Scene() {
    stack.start_registry();
    REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
    agent = &stack.start_agent(
        {.name = "edge-1", .ledgers = {kPayments}, .environment = clock.environment()});
    REQUIRE(stack.becomes_active(*agent, kPayments, 1));
    REQUIRE(decides());
  }
  bool decides() const {
    try {
      return agent->decide("payments/transfer/decision", transfer).has_value();
    } catch (const std::exception&) {
      return false;  // it has just started
    }
  }
  std::string state() const { return text_at(agent->ledger_status(kPayments), "state"); }
  void lose_three_days() {
    clock.set("+3d");
    REQUIRE(wait_until([this] { return state() == "expired" && !decides(); }));
  }
};

TEST_CASE("a node whose clock was once three days ahead decides again when it is right") {
  Scene scene;
  scene.lose_three_days();
  SUBCASE("without a restart") { scene.clock.set("+0"); }
  SUBCASE("over a restart") {
    REQUIRE(scene.agent->stop() == 0);
    scene.clock.set("+0");
    scene.agent->start();
  }
  SUBCASE("after a crash") {
    scene.agent->kill();
    scene.clock.set("+0");
    scene.agent->start();
  }
  REQUIRE(wait_until([&] { return scene.state() == "fresh" && scene.decides(); }));
}

TEST_CASE("a clock that is ahead still is not believed to be right by anybody") {
  Scene scene;
  scene.lose_three_days();
  REQUIRE(scene.agent->stop() == 0);
  scene.agent->start();
  REQUIRE(wait_until([&] { return scene.agent->count_events("alarm", "expired") > 0; }));
  CHECK(scene.state() == "expired");
  CHECK_FALSE(scene.decides());
}

}  // namespace
}  // namespace notp
