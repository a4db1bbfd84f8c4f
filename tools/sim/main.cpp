// notp-sim: runs simulated fleets from seeds and reports violated invariants. A red seed replays
// with `notp-sim --seed N --trace`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/sim/world.hpp"

int main(int argc, char** argv) {
  uint64_t first = 1, seeds = 1;
  notp::sim::WorldOptions options;
  bool trace = false, calm = false;
  CLI::App app("Simulates fleets of agents under faults; checks the invariants.");
  app.add_option("--seed", first, "first seed")->capture_default_str();
  app.add_option("--seeds", seeds, "how many seeds, one after the other")->capture_default_str();
  app.add_option("--agents", options.agents, "agents in a world")->capture_default_str();
  app.add_option("--publishes", options.publishes, "releases published")->capture_default_str();
  app.add_flag("--trace", trace, "print every event");
  app.add_flag("--no-faults", calm, "a world in which nothing breaks");
  CLI11_PARSE(app, argc, argv);
  options.faults = !calm;
  if (trace) options.trace = [](const std::string& line) { std::fputs(line.c_str(), stdout); };

  uint64_t events = 0, faults = 0, activations = 0, red = 0;
  for (uint64_t i = 0; i < seeds; ++i) {
    options.seed = first + i;
    const notp::sim::Verdict verdict = notp::sim::run_world(options);
    events += verdict.events;
    faults += verdict.faults;
    activations += verdict.activations;
    for (const std::string& violation : verdict.violations) fmt::print("{}\n", violation);
    if (!verdict.violations.empty()) ++red;
    if (seeds == 1) fmt::print("trace hash {}\n", verdict.trace_hash.hex());
  }
  fmt::print("{} seeds from {}: {} events, {} faults, {} activations, {} seeds with violations\n",
             seeds, first, events, faults, activations, red);
  return red == 0 ? 0 : 1;
}
