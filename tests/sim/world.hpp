// A fleet in one thread from one seed: the real agent core, sessions, codec and trust checks under
// a virtual clock and a network that delays, fragments, cuts and partitions; processes crash and
// lose unsynced writes; a registry that lags or tampers; PDPs that are slow or refuse. A safety
// phase with faults, then a liveness phase without.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "common/digest.hpp"
#include "notp-client/agent/agent_core.hpp"
#include "tests/sim/memory_store.hpp"
#include "tests/sim/sim_registry.hpp"

namespace notp::sim {

struct WorldOptions {
  uint64_t seed = 1;
  size_t agents = 10;
  size_t publishes = 20;
  bool faults = true;
  std::function<void(const std::string&)> trace;  // empty: no text, the hash only
};

struct Verdict {
  std::vector<std::string> violations;  // empty: all invariants held
  Hash trace_hash;
  uint64_t events = 0;
  uint64_t faults = 0;   // cuts, crashes, partitions, held-back and tampering sessions
  uint64_t refused = 0;  // releases that an agent would not install
  uint64_t activations = 0;
};

// Runs one world to its end. Deterministic: the same options give the same verdict.
Verdict run_world(const WorldOptions& options);

}  // namespace notp::sim
