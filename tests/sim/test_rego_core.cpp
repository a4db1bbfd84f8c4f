// The engine's core under seeded randomness and virtual time.
#include <doctest/doctest.h>

#include <cstdlib>

#include "common/limits.hpp"
#include "tests/sim/rego_world.hpp"

namespace notp::rego {
namespace {

// More seeds in a long run.
uint64_t seeds() {
  const char* text = std::getenv("NOTP_SIM_SEEDS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 150;
}

struct Sums {
  uint64_t answered = 0, activated = 0, rejected = 0, quarantines = 0, quarantine_ends = 0;
  uint64_t takeovers = 0, repeats = 0, kills = 0, deaths = 0;
};

Sums run_seeds(const WorldMix& mix) {
  Sums sums;
  for (uint64_t seed = 1; seed <= seeds(); ++seed) {
    RegoWorld world(seed, mix.faults);
    world.run(1'500);
    const std::string first = world.violations.empty() ? "" : world.violations.front();
    REQUIRE_MESSAGE(world.violations.empty(), mix.name, ", seed ", seed, ": ", first);
    CHECK(world.activated > 0);
    const EngineStatus status = world.status();
    sums.answered += world.answered;
    sums.activated += world.activated;
    sums.rejected += world.rejected;
    sums.quarantines += world.quarantines;
    sums.quarantine_ends += world.quarantine_ends;
    sums.takeovers += status.takeovers;
    sums.repeats += status.repeats;
    sums.kills += status.kills;
    sums.deaths += status.deaths;
  }
  return sums;
}

// Each mix produced the faults that it is meant for.
TEST_CASE("whatever befalls its workers, the engine's core answers what it can, and only that") {
  for (const WorldMix& mix : world_mixes()) {
    CAPTURE(mix.name);
    const Sums sums = run_seeds(mix);
    CHECK(sums.answered > 300 * seeds());
    if (mix.faults.outside_every != 0) {
      CHECK(sums.takeovers > seeds());
      CHECK(sums.repeats > seeds());
    }
    if (mix.faults.bombs) {
      CHECK(sums.quarantines > seeds());
      CHECK(sums.quarantine_ends > seeds());
    }
    if (mix.faults.swelling) {
      CHECK(sums.rejected > seeds());
      CHECK(sums.kills > seeds());
      CHECK(sums.deaths > seeds());
    }
  }
}

// An engine's core whose first worker serves the first snapshot, with a question in flight there.
struct Serving {
  EngineCore core{CoreOptions{}};
  WorkerRef serving{0, 1}, standby{1, 1};
  TimeMs now = 1'000'000;
  uint32_t wire_id = 0;

  Serving() {
    core.begin(now);
    for (const WorkerRef worker : {serving, standby}) core.worker_started(worker, now);
    activate(1);
    core.provisioned(serving, 1, now);
    core.submit({1, {"a"}, {}, 0, 1}, now);
    for (const Effect& each : core.take_effects())
      if (const auto* send = std::get_if<effect::Send>(&each)) wire_id = send->wire_id;
  }
  void activate(uint64_t number) {
    core.activate(number, {std::make_shared<Snapshot>(), {}, {}}, now);
  }
  // The second snapshot decides before its activation is answered.
  void overtake() {
    activate(2);
    core.answered(serving, {wire_id, 2, 1'000'000, {}, {}}, now);
  }
  template <typename Kind>
  static std::vector<Kind> of(const std::vector<Effect>& effects) {
    std::vector<Kind> found;
    for (const Effect& each : effects)
      if (const auto* one = std::get_if<Kind>(&each)) found.push_back(*one);
    return found;
  }
};

TEST_CASE("a decision that overtakes its activation's answer confirms it, and the next one waits") {
  Serving world;
  world.overtake();
  const auto overtaken = world.core.take_effects();
  const auto activated = Serving::of<effect::Activated>(overtaken);
  REQUIRE(activated.size() == 1);
  CHECK(activated[0].snapshot == 2);
  CHECK(activated[0].result);
  CHECK(Serving::of<effect::Deliver>(overtaken).size() == 1);
  world.activate(3);
  CHECK(Serving::of<effect::Provision>(world.core.take_effects()).empty());
  SUBCASE("the answer comes") {
    world.core.provisioned(world.serving, 2, world.now);
    const auto answered = world.core.take_effects();
    const auto provisions = Serving::of<effect::Provision>(answered);
    REQUIRE(provisions.size() == 1);
    CHECK(provisions[0].snapshot == 3);
    CHECK(Serving::of<effect::Activated>(answered).empty());
  }
  SUBCASE("the worker ends before it") {
    world.core.worker_died(world.serving, Death::kCrash, "it died", world.now);
    const auto ended = world.core.take_effects();
    CHECK(Serving::of<effect::Activated>(ended).empty());
    const auto provisions = Serving::of<effect::Provision>(ended);
    REQUIRE(provisions.size() == 1);
    CHECK(provisions[0].worker == world.standby);
    CHECK(provisions[0].snapshot == 2);  // what has decided once is what decides
  }
  SUBCASE("the answer never comes") {
    world.core.expire(world.now + limits::kActivationMs);
    CHECK(Serving::of<effect::Kill>(world.core.take_effects()).size() == 1);
  }
  SUBCASE("the answer is a refusal") {
    world.core.provision_failed(world.serving, 2, {ErrorCode::kPdpRejected, "bad", {}}, world.now);
    const auto refused = world.core.take_effects();
    CHECK(Serving::of<effect::Kill>(refused).size() == 1);
    CHECK(Serving::of<effect::Activated>(refused).empty());
  }
}

TEST_CASE("the same seed gives the same trace, another seed another one") {
  const WorldFaults all = world_mixes().back().faults;
  for (const uint64_t seed : {7, 8, 9}) {
    RegoWorld once(seed, all), again(seed, all), other(seed + 100, all);
    for (RegoWorld* world : {&once, &again, &other}) world->run(500);
    CHECK(once.trace == again.trace);
    CHECK(once.trace != other.trace);
  }
}

}  // namespace
}  // namespace notp::rego
