// Simulates delegations by transaction tokens in one thread from one seed: the real issuer core and
// the real store of grants, under a clock that jumps, killed at any step; workloads that ask,
// delegate, redeem and pass on; a broker that loses, doubles, delays, alters and misdelivers their
// messages; policies that err; thieves. A chain has one to four grants.
//
// Invariants, for every token that is signed: it leads to one genuine subject token; its subject is
// that one's; its scope is covered by it, and never more than that of the grant and the token
// before; it does not outlive its grant; a grant is used as often as it says, by whom it says, for
// the message that it was made for, and not after it, its subject or a token of its chain was
// revoked.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/crypto/digest.hpp"

namespace notp::sim {

struct DelegationWorldOptions {
  uint64_t seed = 1;
  uint64_t delegations = 250;  // first tokens that are asked for
  bool faults = true;
  std::function<void(const std::string&)> trace;  // empty: only the hash
};

struct DelegationVerdict {
  std::vector<std::string> violations;  // empty: all invariants held
  Hash trace_hash;
  uint64_t events = 0;
  std::map<std::string, uint64_t> counts;  // of faults and of what they met, by name

  // Adds the counts; violations and trace remain unchanged.
  DelegationVerdict& operator+=(const DelegationVerdict& other) {
    events += other.events;
    for (const auto& [name, number] : other.counts) counts[name] += number;
    return *this;
  }
  uint64_t count(const std::string& name) const {
    const auto found = counts.find(name);
    return found == counts.end() ? 0 : found->second;
  }
  uint64_t kills() const { return count("kills of the service") + count("kills of workloads"); }
};

// Runs one world to its end. Deterministic: the same options give the same verdict.
DelegationVerdict run_delegation_world(const DelegationWorldOptions& options);

}  // namespace notp::sim
