// A fleet in one thread from one seed: the real agent core, sessions, codec and trust checks under
// a virtual clock and a network that delays, fragments, cuts and partitions; processes crash and
// lose unsynced writes, disks damage what is stored, clocks jump; a registry that lags, tampers or
// attacks, with or without stolen keys; roots, keys and epochs that change, releases that are
// withdrawn; PDPs that are slow or refuse. A safety phase with faults, then a liveness phase
// without.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"

namespace notp::sim {

struct WorldOptions {
  uint64_t seed = 1;
  size_t agents = 10;
  size_t publishes = 20;
  bool faults = true;
  bool ed25519 = false;  // libcrypto makes and verifies each signature: slower, the same world
  // Above 0: another story. The fleet loses its registry for so long, while its nodes restart and
  // their clocks are set back; releases stand for an hour fresh, and for days.
  TimeMs outage_ms = 0;
  std::function<void(const std::string&)> trace;  // empty: no text, the hash only
};

struct Verdict {
  std::vector<std::string> violations;  // empty: all invariants held
  Hash trace_hash;
  uint64_t events = 0;
  uint64_t faults = 0;   // cuts, crashes, partitions, clocks that jump, sessions with an attacker
  uint64_t refused = 0;  // releases that an agent would not install
  uint64_t activations = 0;
  uint64_t roots_made = 0, roots_walked = 0;
  uint64_t statements_signed = 0, statements_accepted = 0;
  uint64_t withdrawals = 0;
  uint64_t stale = 0, expired = 0;                // times that a node said so of a release
  uint64_t inventories = 0;                       // that registries asked for
  uint64_t repairs = 0;                           // looks at what is left of a store
  uint64_t parts = 0;                             // artifacts against a part of a release
  std::map<std::string_view, uint64_t> sessions;  // by what the registry's side did
  std::map<std::string_view, uint64_t> alarms;    // by their code

  // The counts of both; violations and trace stay this one's.
  Verdict& operator+=(const Verdict& other);
};

// Runs one world to its end. Deterministic: the same options give the same verdict.
Verdict run_world(const WorldOptions& options);

}  // namespace notp::sim
