// Tens of thousands of agents in this process: each is a session of the protocol's own core over
// mutual TLS, with an identity, a source address and a back-off of its own. What many get, a
// release, is verified and applied once, as nodes of a fleet have processors of their own. Nothing
// is stored.
#pragma once

#include <memory>
#include <string>

#include "protocol/model/ledger.hpp"
#include "tools/bench/swarm_identities.hpp"
#include "tools/bench/swarm_tally.hpp"

namespace notp::bench {

// What an agent sends about a release that it has taken.
enum class SwarmCommits : uint8_t {
  kActive,           // ACTIVE: its PDP confirms within half a second
  kStoredAndActive,  // STORED, then ACTIVE: its PDP takes longer
  kOnCall,           // ACTIVE when commit_now() is called, and not before
};

struct AgentSwarmPlan {
  std::string registry;           // numeric "address:port"
  SwarmIdentitiesPtr identities;  // session i shows identity i, counted round
  model::LedgerId ledger;
  Bytes root;  // the pinned root's envelope
  size_t sessions = 1;
  size_t threads = 1;
  double mute = 0, slow = 0;  // shares of the sessions, spread evenly over their numbers
  SwarmCommits commits = SwarmCommits::kStoredAndActive;
  // First dials under way at once; 0: all of them, a herd. Later ones follow the back-off alone.
  size_t dials_max = 64;
  TimeMs slow_ping_ms = 1'000;        // between two Pings of a slow session
  size_t slow_receive_bytes = 4'096;  // of its socket's buffer; 0: the system's
  size_t per_address = 1;             // sessions from one source address, 127.1.0.0 and up
  uint64_t seed = 1;                  // of the back-off
};
inline constexpr size_t kSwarmSessionsMax = 100'000, kSwarmThreadsMax = 64;

// Thread-safe.
class AgentSwarm {
 public:
  // Checks the plan, raises the descriptor limit to the hard limit, and begins to dial. kConfig;
  // kLimit when the process may not open enough sockets; the errors of verify_pinned_root().
  static Result<std::unique_ptr<AgentSwarm>> start(AgentSwarmPlan plan);
  // Cuts all connections.
  ~AgentSwarm();
  AgentSwarm(const AgentSwarm&) = delete;
  AgentSwarm& operator=(const AgentSwarm&) = delete;

  // With kOnCall: the agents send what they owe.
  void commit_now();
  SwarmTally& tally();
  const SwarmTally& tally() const;
  // Artifacts that were verified and applied here.
  uint64_t distinct_artifacts() const;

 private:
  class State;
  explicit AgentSwarm(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

// The role of a session by its number: the shares are spread evenly.
SwarmRole role_of(size_t number, double mute, double slow);

}  // namespace notp::bench
