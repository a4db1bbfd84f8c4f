// An agent in virtual time whose registry vouches for it as one of a class.
#include "tests/support/agent/agent_node.hpp"

namespace notp {
namespace {

using samples::class_id;
using samples::signed_by;

constexpr TimeMs kHourMs = 3'600'000, kDayMs = 24 * kHourMs;
constexpr TimeMs kFreshMs = kHourMs, kHardMs = 30 * kDayMs;

TestRelease month_release(const TestRelease* previous = nullptr) {
  return make_release(previous, [](trust::Release& release) {
    release.fresh_s = kFreshMs / 1000;
    release.hard_s = kHardMs / 1000;
    release.issued_ms = samples::kIssuedMs;
  });
}

// For a day from now on.
void assign(AgentNode& node, uint64_t sequence, const trust::ClassId& id = class_id()) {
  trust::Assignment assignment = samples::assignment(sequence, id);
  assignment.root_version = node.core().status().root_version;
  assignment.issued_ms = node.now.wall_ms;
  assignment.expires_ms = node.now.wall_ms + limits::kAssignmentLifetimeMs;
  node.send(wire::Assignment{signed_by(assignment, {7}).encode()});
}

// The statement of the class at this time.
void attest(AgentNode& node, const TestRelease& release, const trust::ClassId& id = class_id()) {
  node.attest({AgentNode::head(release)}, [&](trust::Freshness& freshness) {
    freshness.class_id = id;
    freshness.audience.clear();
  });
}

AgentNode connected() {
  AgentNode node(signed_by(samples::tracked_root(), {1}).encode());
  node.boot();
  node.connect();
  return node;
}

TEST_CASE("a node of a class is as fresh as the last statement for it, through restarts as well") {
  const TestRelease release = month_release();
  AgentNode node = connected();
  node.send_release(release);
  CHECK(node.hellos.back().class_freshness);
  CHECK(node.hellos.back().assignment_sequence == 0);
  assign(node, 10);
  attest(node, release);
  CHECK(node.alarms.empty());
  CHECK(node.state() == trust::FreshnessState::kFresh);
  const TimeMs vouched_ms = node.ledger_status().freshness_status.vouched_ms;
  CHECK(vouched_ms == node.now.wall_ms);
  node.disconnect();
  node.advance(kFreshMs / 2);
  node.restart();
  CHECK(node.ledger_status().freshness_status.vouched_ms == vouched_ms);
  node.advance(kFreshMs / 2);
  CHECK(node.state() == trust::FreshnessState::kFresh);
  node.advance(1);
  CHECK(node.state() == trust::FreshnessState::kStale);
  // The next session goes on where the last one was, with or without another assignment.
  node.connect();
  CHECK(node.hellos.back().assignment_sequence == 10);
  CHECK(node.hellos.back().freshness_sequence == node.sequence);
  SUBCASE("with another one") { assign(node, 11); }
  SUBCASE("without") {}
  SUBCASE("with the same one") {
    const uint64_t writes = node.store.writes();
    node.send(wire::Assignment{node.store.state().assignment});
    CHECK(node.store.writes() == writes);
  }
  attest(node, release);
  CHECK(node.alarms.empty());
  CHECK(node.state() == trust::FreshnessState::kFresh);
}

TEST_CASE("a withdrawal reaches a class, and stays with the node when its class changes") {
  const TestRelease first = month_release(), second = month_release(&first);
  AgentNode node = connected();
  node.send_release(first);
  assign(node, 10);
  attest(node, first);
  node.attest({AgentNode::head(first)}, [&](trust::Freshness& freshness) {
    freshness.class_id = class_id();
    freshness.audience.clear();
    freshness.heads.front().withdrawn = {first.hash};
  });
  CHECK(node.denies());
  assign(node, 11, class_id(2));
  CHECK(node.denies());
  node.disconnect();
  node.restart();  // what it was told last is of the class before
  CHECK(node.denies());
  node.connect();
  node.send_release(second);
  attest(node, second, class_id(2));
  CHECK(node.alarms.empty());
  CHECK(node.state() == trust::FreshnessState::kFresh);
}

TEST_CASE("a clock that was ahead is set right by a statement for a class") {
  const TestRelease release = month_release();
  AgentNode node = connected();
  node.send_release(release);
  assign(node, 10);
  attest(node, release);
  node.disconnect();
  node.now.wall_ms += 365 * kDayMs;
  node.advance(limits::kClockKeepMs);
  node.now.wall_ms -= 365 * kDayMs;
  bool is_assigned_again = true;
  SUBCASE("in the same process") {}
  SUBCASE("after a restart") { node.restart(); }
  SUBCASE("after a restart, with the assignment from before") {
    node.restart();
    is_assigned_again = false;
  }
  CHECK(node.denies());
  node.connect();
  if (is_assigned_again) assign(node, 11);  // has expired, by this node's clock
  attest(node, release);
  CHECK(node.alarms.empty());
  CHECK(node.state() == trust::FreshnessState::kFresh);
  CHECK(node.store.state().clock.wall_ms == node.now.wall_ms);
  node.restart();
  CHECK(node.state() == trust::FreshnessState::kFresh);
}

TEST_CASE("a clock that is ahead still is set right by nothing of a class, either") {
  const TestRelease release = month_release();
  AgentNode node = connected();
  node.send_release(release);
  assign(node, 10);
  attest(node, release);
  node.disconnect();
  const Now before = node.now;
  node.now.wall_ms += 365 * kDayMs;
  node.advance(0);
  node.connect();
  const TimeMs ahead_ms = node.now.wall_ms;
  node.now.wall_ms = before.wall_ms;
  trust::Assignment old = samples::assignment(11);
  old.issued_ms = before.wall_ms;
  old.expires_ms = before.wall_ms + limits::kAssignmentLifetimeMs;
  const Bytes envelope = signed_by(old, {7}).encode();
  node.now.wall_ms = ahead_ms;
  node.send(wire::Assignment{envelope});
  CHECK(node.alarmed(ErrorCode::kExpired));
  CHECK(node.is_connected());
  CHECK(node.core().status().freshness_sequence == node.sequence);
  CHECK(node.denies());
}

TEST_CASE("a stored assignment that does not stand verification counts for nothing") {
  const TestRelease release = month_release();
  AgentNode node = connected();
  node.send_release(release);
  assign(node, 10);
  attest(node, release);
  node.disconnect();
  SUBCASE("signed by another key") {
    trust::Assignment forged = samples::assignment(10, class_id(2));
    node.store.tampered_state().assignment = signed_by(forged, {8}).encode();
  }
  SUBCASE("no assignment at all") { node.store.tampered_state().assignment = "nothing"; }
  node.restart();
  CHECK(node.core().status().freshness_sequence == node.sequence);
  node.connect();
  CHECK(node.hellos.back().assignment_sequence == 0);
  attest(node, release, class_id(2));
  CHECK(node.refusals.back() == ErrorCode::kWrongTarget);
  node.connect();
  assign(node, 3);
  attest(node, release);
  CHECK(node.is_connected());
  CHECK(node.state() == trust::FreshnessState::kFresh);
}

TEST_CASE("what was not asked for ends the session") {
  const Now now{1'000, 1'000};
  const auto answer = [&](bool class_freshness, const wire::Message& said) {
    wire::Hello hello{.versions = {wire::kProtocolVersion}, .user_agent = "test", .wants = {}};
    hello.class_freshness = class_freshness;
    session::ClientSession session(hello, {}, now);
    wire::Welcome welcome;
    welcome.trust_domain = samples::kDomain;
    session.receive(wire::encode_frame(welcome), now);
    session.receive(wire::encode_frame(said), now);
    return session.is_closed();
  };
  const trust::Freshness statement = samples::class_freshness(5, {});
  const wire::Message of_class =
      session::make_freshness_update(statement, Bytes(kSignatureBytes, 's'), nullptr);
  for (const wire::Message& said : {of_class, wire::Message(wire::Assignment{"assignment"})}) {
    CHECK(answer(false, said));
    CHECK_FALSE(answer(true, said));
  }
}

}  // namespace
}  // namespace notp
