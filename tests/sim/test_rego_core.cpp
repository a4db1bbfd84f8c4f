// The engine's core under seeded randomness and virtual time.
#include <doctest/doctest.h>

#include <cstdlib>

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
