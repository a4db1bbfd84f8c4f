// notp-sim: runs simulated fleets from seeds and reports violated invariants. A red seed replays
// with `notp-sim --seed N --trace`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/sim/world.hpp"

namespace {

void print_counts(std::string_view what, const std::map<std::string_view, uint64_t>& counts) {
  fmt::print("  {}:", what);
  for (const auto& [name, count] : counts) fmt::print(" {} {}", name, count);
  fmt::print("\n");
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t first = 1, seeds = 1;
  notp::sim::WorldOptions options;
  bool trace = false, calm = false;
  CLI::App app("Simulates fleets of agents under faults; checks the invariants.");
  app.add_option("--seed", first, "first seed")->capture_default_str();
  app.add_option("--seeds", seeds, "how many seeds, one after the other")->capture_default_str();
  app.add_option("--agents", options.agents, "agents in a world")->capture_default_str();
  app.add_option("--publishes", options.publishes, "releases published")->capture_default_str();
  int64_t outage_days = 0;
  app.add_option("--outage-days", outage_days,
                 "the registry is gone for so long, and nothing else");
  app.add_flag("--trace", trace, "print every event");
  app.add_flag("--no-faults", calm, "a world in which nothing breaks");
  CLI11_PARSE(app, argc, argv);
  options.faults = !calm;
  options.outage_ms = outage_days * 24 * 3600 * 1000;
  if (trace) options.trace = [](const std::string& line) { std::fputs(line.c_str(), stdout); };

  notp::sim::Verdict total;
  uint64_t red = 0;
  for (uint64_t i = 0; i < seeds; ++i) {
    options.seed = first + i;
    const notp::sim::Verdict verdict = notp::sim::run_world(options);
    total += verdict;
    for (const std::string& violation : verdict.violations) fmt::print("{}\n", violation);
    if (!verdict.violations.empty()) ++red;
    if (seeds == 1) fmt::print("trace hash {}\n", verdict.trace_hash.hex());
  }
  fmt::print("{} seeds from {}: {} events, {} faults, {} activations, {} seeds with violations\n",
             seeds, first, total.events, total.faults, total.activations, red);
  fmt::print("  roots {} made, {} walked; releases {} withdrawn, {} installations refused\n",
             total.roots_made, total.roots_walked, total.withdrawals, total.refused);
  fmt::print("  statements {} signed, {} accepted; ledgers {} times stale, {} times expired\n",
             total.statements_signed, total.statements_accepted, total.stale, total.expired);
  print_counts("sessions", total.sessions);
  print_counts("alarms", total.alarms);
  return red == 0 ? 0 : 1;
}
