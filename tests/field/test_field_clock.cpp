// The clock of an edge node jumps ahead and is corrected: a dead battery, a resumed virtual
// machine, a GPS week rollover.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

// Debian's package faketime, preloaded: a process reads its wall clock through it.
fs::path faketime_library() {
  for (const auto& entry :
       fs::recursive_directory_iterator("/usr/lib", fs::directory_options::skip_permission_denied))
    if (entry.path().filename() == "libfaketimeMT.so.1") return entry.path();
  throw std::runtime_error("there is no libfaketimeMT.so.1; tools/install-dependencies brings it");
}

struct Scene {
  Stack stack{{.freshness_interval_s = 1}};
  const fs::path offset_file = stack.file("clock.offset");
  const json::value transfer = stack.example_question("transfer-750-euros");
  Agent* agent = nullptr;

  Scene() {
    stack.start_registry();
    REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
    set_clock("+0");
    agent = &stack.start_agent({.name = "edge-1",
                                .ledgers = {kPayments},
                                .environment = {{"LD_PRELOAD", faketime_library().string()},
                                                {"FAKETIME_TIMESTAMP_FILE", offset_file.string()},
                                                {"FAKETIME_NO_CACHE", "1"},
                                                {"FAKETIME_DONT_FAKE_MONOTONIC", "1"}}});
    REQUIRE(stack.becomes_active(*agent, kPayments, 1));
    REQUIRE(decides());
  }
  void set_clock(const std::string& offset) const { must(write_file(offset_file, offset + "\n")); }
  bool decides() const {
    try {
      return agent->decide("payments/transfer/decision", transfer).has_value();
    } catch (const std::exception&) {
      return false;  // it has just started
    }
  }
  std::string state() const { return text_at(agent->ledger_status(kPayments), "state"); }
  void lose_three_days() {
    set_clock("+3d");
    REQUIRE(wait_until([this] { return state() == "expired" && !decides(); }));
  }
};

TEST_CASE("a node whose clock was once three days ahead decides again when it is right") {
  Scene scene;
  scene.lose_three_days();
  SUBCASE("without a restart") { scene.set_clock("+0"); }
  SUBCASE("over a restart") {
    REQUIRE(scene.agent->stop() == 0);
    scene.set_clock("+0");
    scene.agent->start();
  }
  SUBCASE("after a crash") {
    scene.agent->kill();
    scene.set_clock("+0");
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
