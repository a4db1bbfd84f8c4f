// Attacks that set a node's trusted time back. They need three things at once: the registry's TLS
// key (a certificate that is valid at the node's wall clock), the freshness key, and control of the
// node's clock. An attacker with all three can delay a release's end, until earlier statements show
// that it has passed, and gains nothing else.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/agent/agent_node.hpp"

namespace notp {
namespace {

constexpr TimeMs kHourMs = 3'600'000, kDayMs = 24 * kHourMs;
constexpr tls::Validity kForged{.from_ms = kNever};  // without the registry's key

struct Stolen {
  bool tls_key = false, freshness_key = false, clock = false;
};

// A release that expires in a day; the registry has been down for two.
class Scene {
 public:
  Scene() : node(samples::signed_by(samples::tracked_root(), {1}).encode()) {
    start_ms = node.now.wall_ms;
    release = make_release(nullptr, [&](trust::Release& statement) {
      statement.fresh_s = 3600;
      statement.hard_s = 60 * kDayMs / 1000;
      statement.expires_ms = start_ms + kDayMs;
    });
    node.boot();
    node.connect();
    node.send_release(release);
    node.attest(release);
    node.disconnect();
    REQUIRE(node.state() == trust::FreshnessState::kFresh);
    node.advance(2 * kDayMs);
    REQUIRE(node.denies());
  }

  // Half a day after the start, by the attacker's clock.
  void attack(const Stolen& stolen) {
    const TimeMs then_ms = start_ms + kDayMs / 2;
    if (stolen.clock) node.set_clock(then_ms);
    node.registry_certificate = stolen.tls_key ? tls::Validity{} : kForged;
    node.connect();
    node.attest(
        {AgentNode::head(release)},
        [&](trust::Freshness& freshness) {
          freshness.issued_ms = then_ms;
          freshness.expires_ms = then_ms + 60'000;
        },
        stolen.freshness_key ? 7 : 9);
    node.disconnect();
  }

  AgentNode node;
  TestRelease release;
  TimeMs start_ms = 0;
};

TEST_CASE("trusted time is set back by nobody who lacks one of the three") {
  for (const Stolen& stolen : {Stolen{}, Stolen{true, false, false}, Stolen{false, true, false},
                               Stolen{false, false, true}, Stolen{true, true, false},
                               Stolen{true, false, true}, Stolen{false, true, true}}) {
    CAPTURE(fmt::format("TLS key {}, freshness key {}, clock {}", stolen.tls_key,
                        stolen.freshness_key, stolen.clock));
    Scene scene;
    const trust::ClockMarks before = scene.node.store.state().clock;
    scene.attack(stolen);
    CHECK(scene.node.denies());
    CHECK(scene.node.store.state().clock.wall_ms >= before.wall_ms);
    scene.node.restart();
    CHECK(scene.node.denies());
  }
}

TEST_CASE("who has all three delays the end of a release by the outage, and no more") {
  Scene scene;
  scene.attack({true, true, true});
  CHECK_FALSE(scene.node.denies());
  // The clocks advance: the release expires again.
  scene.node.advance(kDayMs / 2);
  CHECK(scene.node.denies());
  // Not below what the registry signed before the outage; the sequence only grows.
  CHECK(scene.node.store.state().clock.signed_ms >= scene.start_ms);
  scene.node.set_clock(scene.start_ms - kDayMs);
  scene.node.connect();
  scene.node.attest({AgentNode::head(scene.release)}, [&](trust::Freshness& freshness) {
    freshness.issued_ms = scene.start_ms - kDayMs;
    freshness.expires_ms = freshness.issued_ms + 60'000;
  });
  CHECK(scene.node.core().status().ledgers.front().freshness_status.denies());
  CHECK(scene.node.store.state().clock.wall_ms >= scene.start_ms);
}

TEST_CASE("a release that had ended by what was signed stays so for all three") {
  Scene scene;
  // The registry returns after the release's end, and is lost again.
  scene.node.registry_certificate = {};
  scene.node.connect();
  scene.node.attest(scene.release);
  scene.node.disconnect();
  REQUIRE(scene.node.store.state().clock.signed_ms == scene.node.now.wall_ms);
  scene.node.advance(kDayMs);
  scene.attack({true, true, true});
  CHECK(scene.node.denies());
  // The operator's --reset-clock does not change that either.
  REQUIRE(scene.node.store.reset_clock(scene.start_ms + kDayMs / 2));
  scene.node.set_clock(scene.start_ms + kDayMs / 2);
  scene.node.restart();
  CHECK(scene.node.denies());
}

TEST_CASE("a statement that was said before sets nothing back") {
  Scene scene;
  scene.node.set_clock(scene.start_ms);
  scene.node.registry_certificate = {};
  scene.node.connect();
  scene.node.sequence = 0;  // the first one again, genuine
  scene.node.attest(scene.release);
  CHECK(scene.node.alarmed(ErrorCode::kReplay));
  CHECK(scene.node.denies());
}

}  // namespace
}  // namespace notp
