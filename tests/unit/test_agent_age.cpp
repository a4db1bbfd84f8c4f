// An agent in virtual time: the ageing of its releases, and the influence of clocks.
#include "tests/support/agent/agent_node.hpp"

namespace notp {
namespace {

using samples::head_of;
using samples::kLedger;
using samples::signed_by;

constexpr TimeMs kHourMs = 3'600'000, kDayMs = 24 * kHourMs;
constexpr TimeMs kFreshMs = kHourMs, kHardMs = 30 * kDayMs;

Bytes tracked_root() { return signed_by(samples::tracked_root(), {1}).encode(); }

TestRelease month_release(trust::OnHard on_hard) {
  return make_release(nullptr, [&](trust::Release& release) {
    release.fresh_s = kFreshMs / 1000;
    release.hard_s = kHardMs / 1000;
    release.on_hard = on_hard;
  });
}

// Has the release, attested just now; then the registry is gone.
AgentNode alone_with(const TestRelease& release) {
  AgentNode node(tracked_root());
  node.boot();
  node.connect();
  node.send_release(release);
  node.attest(release);
  node.disconnect();
  CHECK(node.state() == trust::FreshnessState::kFresh);
  return node;
}

TEST_CASE("thirty days without a registry: every state changes at its millisecond") {
  for (const trust::OnHard on_hard : {trust::OnHard::kDeny, trust::OnHard::kServe}) {
    AgentNode node = alone_with(month_release(on_hard));
    node.advance(kFreshMs);
    CHECK(node.state() == trust::FreshnessState::kFresh);
    node.advance(1);
    CHECK(node.state() == trust::FreshnessState::kStale);
    CHECK_FALSE(node.denies());
    const size_t activations = node.activations;
    node.sleep(kHardMs - kFreshMs - 2);
    node.advance(1);
    CHECK(node.state() == trust::FreshnessState::kStale);
    CHECK(node.activations == activations);  // age alone does not cause an activation
    node.advance(1);
    CHECK(node.state() == trust::FreshnessState::kExpired);
    CHECK(node.denies() == (on_hard == trust::OnHard::kDeny));
    CHECK(node.activations == activations + 1);
    CHECK(node.ledger_status().freshness_status.denies() == node.denies());
    CHECK(node.ledger_status().next_change_ms == kNever);
  }
}

TEST_CASE("the registry's word makes it fresh again") {
  const TestRelease release = month_release(trust::OnHard::kDeny);
  AgentNode node = alone_with(release);
  node.sleep(kHardMs + 1);
  CHECK(node.denies());
  node.connect();
  CHECK(node.denies());  // a session does not attest anything by itself
  node.attest(release);
  CHECK(node.state() == trust::FreshnessState::kFresh);
  CHECK_FALSE(node.denies());
}

TEST_CASE("setting the clock back revives nothing, running or restarted") {
  AgentNode node = alone_with(month_release(trust::OnHard::kDeny));
  node.sleep(kHardMs + 1);
  CHECK(node.denies());
  node.now.wall_ms -= 5 * 365 * kDayMs;
  node.advance(kHourMs);
  CHECK(node.denies());
  node.now.boot_ms = 1'000;  // the machine boots
  node.restart();
  CHECK(node.denies());
  node.advance(kDayMs);
  CHECK(node.denies());
}

TEST_CASE("time goes on by the boot clock while the wall clock is behind") {
  AgentNode node = alone_with(month_release(trust::OnHard::kDeny));
  node.now.wall_ms -= 365 * kDayMs;
  node.sleep(kFreshMs - 1);
  node.advance(1);
  CHECK(node.state() == trust::FreshnessState::kFresh);
  node.advance(1);
  CHECK(node.state() == trust::FreshnessState::kStale);
}

TEST_CASE("a wall clock that is set ahead counts at once") {
  AgentNode node = alone_with(month_release(trust::OnHard::kDeny));
  node.set_clock(node.now.wall_ms + 365 * kDayMs);
  CHECK(node.denies());
  // The wrong clock was believed: attestations by the true time are in the past now.
  node.set_clock(node.now.wall_ms - 365 * kDayMs);
  node.advance(kDayMs);
  CHECK(node.denies());
}

TEST_CASE("between two statements a node has nothing to do") {
  const TestRelease release = month_release(trust::OnHard::kDeny);
  AgentNode node = alone_with(release);
  node.connect();
  node.attest(release);
  CHECK(node.core().next_deadline() == node.now.boot_ms + limits::kClockKeepMs);
  CHECK(limits::kClockKeepMs > limits::kFreshnessIntervalMs);
}

TEST_CASE("a clock that was ahead is forgotten when a person says so") {
  const TestRelease release = month_release(trust::OnHard::kDeny);
  AgentNode node = alone_with(release);
  node.now.wall_ms += 365 * kDayMs;
  node.advance(limits::kClockKeepMs);
  node.now.wall_ms -= 365 * kDayMs;
  node.restart();
  CHECK(node.denies());
  node.registry_certificate = {.until_ms = node.now.wall_ms};
  node.connect();
  node.attest(release);  // expired by this node's clock
  CHECK(node.alarmed(ErrorCode::kExpired));
  CHECK(node.is_connected());  // releases are still accepted
  CHECK(node.denies());
  node.disconnect();
  REQUIRE(node.store.reset_clock(node.now.wall_ms));
  node.restart();
  CHECK_FALSE(node.denies());
  node.connect();
  node.attest(release);
  CHECK(node.state() == trust::FreshnessState::kFresh);
}

TEST_CASE("a clock that was ahead is set right by the registry") {
  const TestRelease release = month_release(trust::OnHard::kDeny);
  AgentNode node = alone_with(release);
  node.now.wall_ms += 365 * kDayMs;
  node.advance(limits::kClockKeepMs);
  node.now.wall_ms -= 365 * kDayMs;
  SUBCASE("in the same process") {}
  SUBCASE("after a restart") { node.restart(); }
  CHECK(node.denies());
  node.connect();
  node.attest(release);
  CHECK(node.state() == trust::FreshnessState::kFresh);
  CHECK(node.store.state().clock.wall_ms == node.now.wall_ms);
  CHECK(node.store.state().clock.signed_ms == node.now.wall_ms);
  node.disconnect();
  node.restart();
  CHECK(node.state() == trust::FreshnessState::kFresh);
  node.advance(kFreshMs);
  CHECK(node.state() == trust::FreshnessState::kFresh);
  node.advance(1);
  CHECK(node.state() == trust::FreshnessState::kStale);
}

TEST_CASE("a clock that is ahead still is not set back") {
  const TestRelease release = month_release(trust::OnHard::kDeny);
  AgentNode node = alone_with(release);
  node.now.wall_ms += 365 * kDayMs;
  node.advance(0);
  node.connect();
  node.attest({AgentNode::head(release)}, [](trust::Freshness& freshness) {
    freshness.issued_ms -= 365 * kDayMs;
    freshness.expires_ms -= 365 * kDayMs;
  });
  CHECK(node.alarmed(ErrorCode::kExpired));
  CHECK(node.denies());
}

TEST_CASE("the high-water mark becomes durable while nothing happens") {
  AgentNode node = alone_with(month_release(trust::OnHard::kDeny));
  node.advance(10 * limits::kClockKeepMs);
  CHECK(node.store.state().clock.wall_ms >= node.now.wall_ms - limits::kClockKeepMs);
  node.advance(kDayMs);
  CHECK(node.store.state().clock.wall_ms >= node.now.wall_ms - limits::kClockKeepMs);
}

TEST_CASE("a restart is as old as before") {
  const TestRelease release = month_release(trust::OnHard::kDeny);
  AgentNode node = alone_with(release);
  const TimeMs vouched_ms = node.ledger_status().freshness_status.vouched_ms;
  CHECK(vouched_ms > release.release.issued_ms);
  node.advance(kFreshMs / 2);
  node.restart();
  CHECK(node.ledger_status().freshness_status.vouched_ms == vouched_ms);
  CHECK(node.state() == trust::FreshnessState::kFresh);
  node.advance(kFreshMs / 2);
  CHECK(node.state() == trust::FreshnessState::kFresh);
  node.advance(1);
  CHECK(node.state() == trust::FreshnessState::kStale);
}

TEST_CASE("a release vouches for itself until the registry does, never from the future") {
  AgentNode node(tracked_root());
  node.boot();
  node.connect();
  SUBCASE("issued a while ago") {
    node.send_release(make_release());  // an hour old, fresh for a minute, hard after an hour
    CHECK(node.state() == trust::FreshnessState::kStale);
    node.advance(1);
    CHECK(node.denies());
  }
  SUBCASE("issued years ahead") {
    node.send_release(make_release(nullptr, [&](trust::Release& release) {
      release.issued_ms = node.now.wall_ms + 3650 * kDayMs;
    }));
    CHECK(node.state() == trust::FreshnessState::kFresh);
    node.disconnect();
    node.advance(3'600'001);
    CHECK(node.denies());
    node.restart();
    CHECK(node.denies());
  }
}

TEST_CASE("without a freshness key nothing ages; a release's own expiry counts") {
  AgentNode node(signed_by(samples::root(), {1}).encode());
  node.boot();
  node.connect();
  SUBCASE("no expiry") {
    node.send_release(make_release());
    node.sleep(3650 * kDayMs);
    CHECK(node.state() == trust::FreshnessState::kUntracked);
    CHECK_FALSE(node.denies());
  }
  SUBCASE("it expires") {
    node.send_release(make_release(nullptr, [&](trust::Release& release) {
      release.expires_ms = node.now.wall_ms + kHourMs;
    }));
    node.advance(kHourMs - 1);
    CHECK(node.state() == trust::FreshnessState::kUntracked);
    node.advance(1);
    CHECK(node.state() == trust::FreshnessState::kExpired);
    CHECK(node.denies());
    node.restart();
    CHECK(node.denies());
  }
}

TEST_CASE("a withdrawn release is expired at once, and there is no way back to an older one") {
  const TestRelease first = month_release(trust::OnHard::kDeny);
  AgentNode node = alone_with(first);
  const TestRelease second = make_release(&first, [&](trust::Release& release) {
    release.hard_s = kHardMs / 1000;
    release.issued_ms = node.now.wall_ms;
  });
  node.connect();
  node.send_release(second);
  node.attest(second);
  CHECK(node.state() == trust::FreshnessState::kFresh);
  trust::FreshHead withdrawn = AgentNode::head(second);
  withdrawn.withdrawn = {second.hash};
  node.attest({withdrawn});
  CHECK(node.decides().version == 2);
  CHECK(node.decides().freshness_status.withdrawn);
  CHECK(node.denies());
  node.disconnect();
  node.restart();
  CHECK(node.decides().version == 2);
  CHECK(node.denies());
  SUBCASE("the registry can take it back") {
    node.connect();
    node.attest(second);
    CHECK_FALSE(node.denies());
  }
  SUBCASE("a newer release replaces it") {
    const TestRelease third = make_release(&second);
    node.connect();
    node.send_release(third);
    CHECK(node.decides().version == 3);
    CHECK_FALSE(node.decides().freshness_status.withdrawn);
  }
}

TEST_CASE("what the PDP keeps in place of a refused release ages, through restarts as well") {
  const TestRelease first = month_release(trust::OnHard::kDeny);
  AgentNode node = alone_with(first);
  const TimeMs vouched_ms = node.ledger_status().freshness_status.vouched_ms;
  node.pdp_refuses = {2};
  const TestRelease second = make_release(&first);
  node.advance(1'000);
  node.connect();
  node.send_release(second);
  for (int i = 0; i < 3; ++i) {
    node.advance(1'000);
    node.attest(second);
  }
  CHECK(node.decides().version == 1);
  CHECK(node.ledger_status().freshness_status.vouched_ms == vouched_ms);
  node.restart();
  CHECK(node.decides().version == 1);
  CHECK(node.ledger_status().freshness_status.vouched_ms == vouched_ms);
  node.sleep(kFreshMs);
  CHECK(node.state() == trust::FreshnessState::kStale);
}

TEST_CASE("what the PDP keeps in place of a release that cannot be read expires") {
  const TestRelease first = month_release(trust::OnHard::kDeny);
  AgentNode node = alone_with(first);
  node.pdp_cannot_read = {2};
  const TestRelease second = make_release(&first, [&](trust::Release& release) {
    release.hard_s = 2 * kHardMs / 1000;
    release.issued_ms = node.now.wall_ms;
    release.on_hard = trust::OnHard::kDeny;
  });
  node.connect();
  node.send_release(second);
  node.disconnect();
  CHECK(node.decides().version == 1);
  const size_t before = node.activations;
  node.sleep(kHardMs + 1'000);
  CHECK(node.decides().version == 1);
  CHECK(node.denies());
  CHECK(node.activations - before <= 6);  // neither is retried endlessly
  node.connect();
  node.pdp_cannot_read.clear();
  node.send_release(make_release(
      &second, [&](trust::Release& release) { release.issued_ms = node.now.wall_ms; }));
  CHECK(node.decides().version == 3);
  CHECK_FALSE(node.denies());
}

TEST_CASE("what the PDP accepted while it was to deny is not proven") {
  const TestRelease first = make_release();
  AgentNode node = alone_with(month_release(trust::OnHard::kDeny));
  node.connect();
  node.pdp_refuses = {2};
  const TestRelease second = make_release(&first, [&](trust::Release& release) {
    const TestRelease before = month_release(trust::OnHard::kDeny);
    release.previous_hash = before.hash;
    release.issued_ms = samples::kIssuedMs - kDayMs;  // old: it denies from the start
  });
  node.send_release(second);
  CHECK(node.decides().version == 2);
  CHECK(node.denies());
  node.attest(second);  // with its policies the PDP refuses it
  CHECK(node.decides().version == 1);
  CHECK_FALSE(node.denies());
  CHECK(node.ledger_status().rejected_version == 2);
}

TEST_CASE("the registry hears of a state at once, and in every report") {
  const TestRelease release = month_release(trust::OnHard::kDeny);
  AgentNode node = alone_with(release);
  node.connect();
  node.attest(release);
  REQUIRE_FALSE(node.commits.empty());
  CHECK(node.commits.back().freshness == trust::FreshnessState::kFresh);
  node.commits.clear();
  trust::FreshHead withdrawn = AgentNode::head(release);
  withdrawn.withdrawn = {release.hash};
  node.attest({withdrawn});
  REQUIRE(node.commits.size() == 1);
  CHECK(node.commits.front().state == wire::CommitState::kActive);
  CHECK(node.commits.front().freshness == trust::FreshnessState::kExpired);
  node.attest({withdrawn});
  CHECK(node.commits.size() == 1);
}

TEST_CASE("renewals cost the PDP nothing until they are news") {
  const TestRelease release = month_release(trust::OnHard::kDeny);
  AgentNode node = alone_with(release);
  node.connect();
  node.attest(release);
  const size_t activations = node.activations;
  for (int i = 0; i < 100; ++i) {
    node.advance(30'000);
    node.attest(release);
  }
  CHECK(node.activations == activations);
  CHECK(node.state() == trust::FreshnessState::kFresh);
}

}  // namespace
}  // namespace notp
