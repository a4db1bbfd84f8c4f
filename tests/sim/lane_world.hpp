// Simulates the token lane of a registry and its nodes in one thread from one seed: the real
// intake, fan-out and sessions of the registry, the real cores and tables of nodes, under virtual
// clocks and a network that delays, cuts and stalls. Sources add, change, delete and mark tokens,
// late, twice and in any order; processes die and keep what was durable; the registry is restored
// from a copy; clocks jump; a relay drops, doubles and replays signed statements; grants change.
// After the faults every node must have what the registry has.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/crypto/digest.hpp"

namespace notp::sim {

struct LaneWorldOptions {
  uint64_t seed = 1;
  size_t minutes = 40;  // of faults
  bool faults = true;
  std::function<void(const std::string&)> trace;  // empty: only the hash
};

struct LaneVerdict {
  std::vector<std::string> violations;  // empty: all invariants held
  Hash trace_hash;
  uint64_t events = 0;
  std::map<std::string, uint64_t> counts;  // of faults and of what they met, by name

  // Adds the counts; violations and trace remain unchanged.
  LaneVerdict& operator+=(const LaneVerdict& other);
  uint64_t count(const std::string& name) const {
    const auto found = counts.find(name);
    return found == counts.end() ? 0 : found->second;
  }
  // Of registry, nodes and PDPs.
  uint64_t kills() const {
    return count("kills of the registry") + count("kills of nodes") + count("kills of PDPs");
  }
};

// Runs one world to its end. Deterministic: the same options give the same verdict.
LaneVerdict run_lane_world(const LaneWorldOptions& options);

}  // namespace notp::sim
