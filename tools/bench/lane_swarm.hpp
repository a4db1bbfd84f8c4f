// Sessions of many nodes that follow a token lane, in this process and on one thread of it. Each
// session is real up to the statement. A statement that many get is verified, decoded and applied
// once, and what that took counts for each of them: nodes of a fleet have processors of their own.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/signature.hpp"
#include "protocol/feed/token_id.hpp"
#include "protocol/transport/tls_context.hpp"
#include "tools/bench/time_counts.hpp"

namespace notp::bench {

using LaneTime = std::chrono::steady_clock::time_point;

struct SwarmPlan {
  uint16_t registry = 0;  // port on loopback
  std::string lane;
  std::vector<std::shared_ptr<const transport::TlsContext>> identities;  // used in turn
  size_t sessions = 1;
  PublicKey lane_key;
};

class LaneSwarm {
 public:
  // Opens the sessions. Returns when each has all that the lane has.
  static Result<std::unique_ptr<LaneSwarm>> start(SwarmPlan plan, TimeMs patience_ms);
  ~LaneSwarm();
  LaneSwarm(const LaneSwarm&) = delete;
  LaneSwarm& operator=(const LaneSwarm&) = delete;

  // Before it is sent: an event about this id, which counts from `due`. Thread-safe.
  void expect(const feed::TokenId& id, LaneTime due);

  struct Figures {
    TimeCounts received;  // one for each event and session
    TimeCounts applied;   // the same, verified and in a node's table
    uint64_t batches = 0, events = 0;
    uint64_t bytes = 0;      // of frames, of one session
    double applying_ms = 0;  // of one batch, on average
  };
  // Waits until every session has what was expected, and begins anew. kTimeout: some have not.
  Result<Figures> take(TimeMs patience_ms);

 private:
  class State;
  explicit LaneSwarm(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace notp::bench
