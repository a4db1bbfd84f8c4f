// Simulates a fleet in one thread from one seed: the real agent core, sessions, codec and trust
// checks under a virtual clock and a network that delays, fragments, cuts and partitions. Processes
// crash and lose unsynced writes, disks damage content, clocks jump; the registry lags, tampers or
// attacks, with or without stolen keys; roots, keys and epochs change, releases are withdrawn; PDPs
// are slow or refuse; decisions are recorded and shipped, and their logs lost. A safety phase with
// faults is followed by a liveness phase without.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "tests/sim/tree_attack.hpp"

namespace notp::sim {

struct WorldOptions {
  uint64_t seed = 1;
  size_t agents = 10;
  size_t publishes = 20;
  bool faults = true;
  // libcrypto makes and verifies each signature, and nothing is remembered (world_memo.hpp):
  // slower, same world.
  bool ed25519 = false;
  // Above 0: the outage story. The fleet loses its registry for this long, while nodes restart and
  // clocks are set back; releases are fresh for an hour, and expire after days.
  TimeMs outage_ms = 0;
  // The recovery story: the registry is restored from a copy of before, while nodes crash and are
  // cut off; an administrator recovers what it has lost. Only honest sessions.
  bool restores = false;
  // In that story the registry publishes although it may have lost releases: a control.
  bool publishes_while_lost = false;
  // Not kNone: the story of a registry that lies about decision records. Only honest sessions else.
  TreeAttack tree_attack = TreeAttack::kNone;
  AuditVerify verify;                             // of that story: what an auditor finds at its end
  std::function<void(const std::string&)> trace;  // empty: only the hash
};

struct Verdict {
  std::vector<std::string> violations;  // empty: all invariants held
  Hash trace_hash;
  uint64_t events = 0;
  uint64_t faults = 0;   // cuts, crashes, partitions, clock jumps, sessions with an attacker
  uint64_t refused = 0;  // releases that an agent refused to install
  uint64_t activations = 0;
  uint64_t roots_made = 0, roots_walked = 0;
  uint64_t statements_signed = 0, statements_accepted = 0;
  uint64_t statements_shared = 0, statements_own = 0;  // of honest sessions: by class, or for one
  uint64_t withdrawals = 0;
  uint64_t stale = 0, expired = 0;             // times that a node reported it of a release
  uint64_t inventories = 0;                    // requested by registries
  uint64_t repairs = 0;                        // checks of what is left of a store
  uint64_t parts = 0;                          // artifacts against a part of a release
  uint64_t decisions = 0, decisions_lost = 0;  // answered; not at the registry at the end
  uint64_t records = 0, segments = 0;          // at the registry, and commits of segments
  uint64_t log_gaps = 0;                       // gap records among them
  uint64_t logs = 0;                           // begun by nodes
  uint64_t lost = 0, recovered = 0;            // releases of a restored registry
  uint64_t returns_refused = 0;                // answers of nodes without an artifact
  uint64_t gates_passed = 0, gates_held = 0;   // judgements of replay gates
  uint64_t gates_few = 0;                      // without enough decisions to judge by
  uint64_t gates_released = 0;                 // held releases that a person let go
  uint64_t receipts = 0, cosignatures = 0, trees_refused = 0;  // of the registry's tree
  // In the story of a registry that lies: how that was noticed; empty: it could not lie yet.
  std::string attack_noticed;
  std::map<std::string_view, uint64_t> sessions;      // by what the registry's side did
  std::map<std::string_view, uint64_t> log_sessions;  // by what it did with a log
  std::map<std::string_view, uint64_t> alarms;        // by code

  // Adds the counts; violations and trace remain unchanged.
  Verdict& operator+=(const Verdict& other);
};

// Runs one world to its end. Deterministic: the same options give the same verdict.
Verdict run_world(const WorldOptions& options);

}  // namespace notp::sim
