// Tens of thousands of agents in this process: a session of the protocol's own cores over mutual
// TLS for each, with an identity, a source address and a back-off of its own. A release and a
// freshness statement that many get are verified and applied once, as nodes of a fleet have
// processors of their own. Nothing is stored.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "protocol/model/ledger.hpp"
#include "tools/bench/samples.hpp"
#include "tools/bench/swarm_identities.hpp"

namespace notp::bench {

using SwarmTime = std::chrono::steady_clock::time_point;

// What a session does after Welcome.
enum class SwarmRole : uint8_t {
  kAgent,  // takes releases, and answers each with its Commits
  kMute,   // takes releases, and never sends a Commit
  kSlow,   // sends Pings, and never reads a byte again; does not come back when it was cut
};
inline constexpr size_t kSwarmRoles = 3;

// What an agent sends about a release that it has taken.
enum class SwarmCommits : uint8_t {
  kActive,           // ACTIVE: its PDP confirms within half a second
  kStoredAndActive,  // STORED, then ACTIVE: its PDP takes longer
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
  size_t dials_max = 64;              // under way at once; 0: all at once, a herd
  TimeMs slow_ping_ms = 1'000;        // between two Pings of a slow session
  size_t slow_receive_bytes = 4'096;  // of a slow session's socket buffer; 0: the system's
  size_t per_address = 1;             // sessions from one source address, of 127.1.0.0 and up
};

// What happened since the swarm began.
struct SwarmCounts {
  size_t welcome = 0;  // now
  uint64_t welcomes = 0, dials = 0;
  uint64_t port_closed = 0, timeouts = 0, refused = 0;  // dials that came to no session
  uint64_t ended[kSwarmRoles] = {};                     // sessions that ended after Welcome
  uint64_t artifacts = 0, commits = 0;
  uint64_t statements = 0;    // freshness statements that came and were expanded
  std::string first_failure;  // of a dial or a session that ended; empty: none
};

// One release on its way.
struct SwarmPush {
  Samples delivered;  // ms from `from` until a session has the artifact: agents and mutes
  Samples active;     // until an agent's ACTIVE is handed to its session
  uint64_t artifact_bytes = 0;
};

// Thread-safe.
class AgentSwarm {
 public:
  // Checks the plan and the descriptor limit, which it raises to the hard limit, and begins to
  // dial. kConfig, kLimit when the process may not open enough sockets.
  static Result<std::unique_ptr<AgentSwarm>> start(AgentSwarmPlan plan);
  // Cuts all connections.
  ~AgentSwarm();
  AgentSwarm(const AgentSwarm&) = delete;
  AgentSwarm& operator=(const AgentSwarm&) = delete;

  // The number of sessions of this role.
  size_t of_role(SwarmRole role) const;

  // Waits until all sessions are welcome at the same time; those of slow ones that were cut do not
  // count. kTimeout with what has happened; the error of a release or statement that an agent would
  // refuse.
  Result<void> await_welcome(TimeMs patience_ms);
  // From now on each Welcome and each end of a slow session counts, from `from`.
  void mark(SwarmTime from);
  struct Marked {
    Samples welcome;   // one for each Welcome, ms
    Samples slow_cut;  // one for each slow session that has ended
  };
  Marked marked() const;
  // Waits until `count` slow sessions have ended since the mark. kTimeout.
  Result<void> await_slow_cut(size_t count, TimeMs patience_ms);

  // Before it is published: the release with this version counts from `from`.
  void expect(uint64_t version, SwarmTime from);
  // Waits until all agents and mutes have it, and agents have said so. kTimeout.
  Result<SwarmPush> take(uint64_t version, TimeMs patience_ms);

  SwarmCounts counts() const;

 private:
  class State;
  explicit AgentSwarm(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace notp::bench
