// A swarm of agents at a real registry: who is served, who is cut, who comes back. Nothing here
// depends on speed.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/support/temporary_folder.hpp"
#include "tools/bench/swarm_arm.hpp"

using namespace notp;
using namespace notp::bench;

namespace {

constexpr TimeMs kPatienceMs = 120'000;
constexpr size_t kSessions = 200;
constexpr size_t kFillBytes = 256 << 10;  // more than the sockets of a slow reader take

#define REQUIRE_DONE(expression)                         \
  do {                                                   \
    const auto& done = (expression);                     \
    INFO((done ? std::string() : done.error().message)); \
    REQUIRE(done);                                       \
  } while (false)

struct Fixture {
  explicit Fixture(int64_t freshness_s = 0) {
    const char* programs = std::getenv("NOTP_BIN");
    REQUIRE(programs != nullptr);
    auto started = SwarmArm::start(
        {.programs = programs, .folder = folder.path() / "arm", .freshness_s = freshness_s});
    REQUIRE_DONE(started);
    arm = *std::move(started);
  }
  void start_swarm(const std::function<void(AgentSwarmPlan&)>& change) {
    auto identities = arm->identities(kSessions);
    REQUIRE_DONE(identities);
    auto plan = arm->plan(*identities);
    REQUIRE_DONE(plan);
    plan->threads = 2;
    change(*plan);
    auto started = AgentSwarm::start(*std::move(plan));
    REQUIRE_DONE(started);
    swarm = *std::move(started);
    REQUIRE_DONE(tally().await_welcome(kPatienceMs));
    REQUIRE_DONE(tally().await_artifacts(kSessions, kPatienceMs));
  }
  SwarmTally& tally() { return swarm->tally(); }

  // A release reaches every agent, and the registry knows it.
  void push(const Result<Publisher::Prepared>& prepared) {
    REQUIRE_DONE(prepared);
    const uint64_t version = SwarmArm::version_of(*prepared);
    const uint64_t agents = tally().counts().sessions[SwarmRole::kAgent];
    tally().expect(version, std::chrono::steady_clock::now());
    REQUIRE_DONE(arm->publish(*prepared));
    const auto pushed = tally().take(version, kPatienceMs);
    REQUIRE_DONE(pushed);
    CHECK(pushed->delivered.count() == agents);
    CHECK(pushed->active.count() == agents);
    REQUIRE_DONE(arm->await_active(version, agents, kPatienceMs));
  }

  TemporaryFolder folder;
  std::unique_ptr<SwarmArm> arm;
  std::unique_ptr<AgentSwarm> swarm;
};

}  // namespace

TEST_CASE("readers that do not answer, or do not read, disturb nobody; the latter are cut") {
  Fixture fixture;
  fixture.start_swarm([](AgentSwarmPlan& plan) {
    plan.mute = 0.1;
    plan.slow = 0.1;
    plan.slow_ping_ms = 200;
  });
  const SwarmCounts before = fixture.tally().counts();
  CHECK(before.sessions[SwarmRole::kAgent] == 160);
  CHECK(before.sessions[SwarmRole::kMute] == 20);
  CHECK(before.sessions[SwarmRole::kSlow] == 20);
  CHECK(before.artifacts == kSessions);

  fixture.tally().mark(std::chrono::steady_clock::now());
  fixture.push(fixture.arm->prepare_noise(kFillBytes));
  fixture.push(fixture.arm->prepare_change());
  CHECK(fixture.swarm->distinct_artifacts() == 3);

  REQUIRE_DONE(fixture.tally().await_slow_cut(20, kPatienceMs));
  // Their Pings did not help: they took no byte for the whole of a transfer's stall deadline.
  CHECK(fixture.tally().marked().slow_cut.percentile(0) >= limits::kTransferStallMs);
  fixture.push(fixture.arm->prepare_change());
  const SwarmCounts after = fixture.tally().counts();
  CHECK(after.ended[SwarmRole::kSlow] == 20);
  CHECK(after.ended[SwarmRole::kAgent] == 0);
  CHECK(after.ended[SwarmRole::kMute] == 0);
  CHECK(after.welcome[SwarmRole::kAgent] == 160);
  // A mute one got what was newest when it came, and nothing after it.
  CHECK(after.artifacts == kSessions + 3 * 160);
  CHECK_FALSE(fixture.tally().failure());
}

TEST_CASE(
    "a herd gets in, and comes back after the registry was killed, with nothing fetched twice") {
  Fixture fixture;
  fixture.start_swarm([](AgentSwarmPlan& plan) { plan.dials_max = 0; });
  fixture.push(fixture.arm->prepare_change());
  const SwarmCounts before = fixture.tally().counts();
  CHECK(before.welcomes == kSessions);
  CHECK(before.dials_ended(SwarmDialEnd::kTimeout) == 0);

  fixture.tally().mark(std::chrono::steady_clock::now());
  fixture.arm->kill_registry();
  REQUIRE_DONE(fixture.arm->start_registry());
  REQUIRE_DONE(fixture.tally().await_back(kSessions, kPatienceMs));
  // What is active at the nodes is reported again.
  REQUIRE_DONE(fixture.arm->await_active(fixture.arm->version(), kSessions, kPatienceMs));
  const SwarmCounts after = fixture.tally().counts();
  CHECK(after.artifacts == before.artifacts);
  CHECK(after.ended[SwarmRole::kAgent] == kSessions);
  CHECK(after.dials_ended(SwarmDialEnd::kTimeout) == 0);
  CHECK_FALSE(fixture.tally().failure());
}

TEST_CASE("agents on call commit when they are told to") {
  Fixture fixture;
  fixture.start_swarm([](AgentSwarmPlan& plan) { plan.commits = SwarmCommits::kOnCall; });
  CHECK(fixture.tally().counts().commits == 0);
  fixture.swarm->commit_now();
  REQUIRE_DONE(fixture.arm->await_active(1, kSessions, kPatienceMs));
  CHECK(fixture.tally().counts().commits == kSessions);
}

TEST_CASE("statements of freshness are taken by all sessions") {
  Fixture fixture(/*freshness_s=*/1);
  fixture.start_swarm([](AgentSwarmPlan&) {});
  const uint64_t before = fixture.tally().counts().statements;
  REQUIRE_DONE(fixture.tally().await_statements(before + 2 * kSessions, kPatienceMs));
  CHECK(fixture.tally().counts().statements_verified > 0);
  CHECK(fixture.tally().counts().ended.sum() == 0);
  CHECK_FALSE(fixture.tally().failure());
}

TEST_CASE("shares are spread evenly over the sessions") {
  size_t counts[3] = {};
  for (size_t number = 0; number < 1'000; ++number)
    ++counts[static_cast<size_t>(role_of(number, 0.03, 0.05))];
  CHECK(counts[static_cast<size_t>(SwarmRole::kSlow)] == 50);
  CHECK(counts[static_cast<size_t>(SwarmRole::kMute)] >= 29);
  CHECK(counts[static_cast<size_t>(SwarmRole::kMute)] <= 30);
  CHECK(role_of(0, 0, 1) == SwarmRole::kSlow);
  CHECK(role_of(0, 1, 0) == SwarmRole::kMute);
}

TEST_CASE("a plan without identities is refused") {
  AgentSwarmPlan plan;
  CHECK(AgentSwarm::start(plan).error().code == ErrorCode::kConfig);
}
