// The invariants of token lanes, checked from outside: by what the registry has committed, what
// nodes have reported, and the definition of trusted time.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/lane_node.hpp"
#include "tests/sim/lane_registry.hpp"
#include "tests/sim/lane_truth.hpp"

namespace notp::sim {

class LaneOracle {
 public:
  LaneOracle(LanePort& port, SimLaneRegistry& registry, LaneTruth& truth)
      : port_(port), registry_(registry), truth_(truth) {}

  // The node says in a session with this instance that it has applied the revision: from now on it
  // accepts nothing of what was revoked up to it, and keeps that.
  void reported(const SimLaneNode& node, const feed::TokenId& instance, uint64_t revision);
  // A statement of that time has reached the node.
  void heard(const SimLaneNode& node, TimeMs time_ms);
  // The clock of the node was ahead, by proof: it may have forgotten what it took for ended, and
  // has it again when the registry has it.
  void clock_set_back(const SimLaneNode& node);
  // The node is asked about this token, as a reference token and as a JWT. True: it accepts it.
  bool decide(const SimLaneNode& node, const SimToken& token);
  // What was deleted stays deleted at the registry.
  void check_registry();
  // After the faults: what the node has is what the registry has.
  void check_converged(const SimLaneNode& node, const std::optional<lane::GrantView>& view);

  uint64_t accepted() const { return accepted_; }
  uint64_t denied() const { return denied_; }

 private:
  struct Acknowledged {
    std::set<feed::TokenId> deleted;
    std::map<feed::TokenId, int64_t> marks;  // not_before
    std::map<feed::TokenId, uint64_t> done;  // revision in an instance
    TimeMs heard_ms = 0;
  };

  bool is_revoked(const Acknowledged& known, const SimToken& token) const;
  void check_tokens(const SimLaneNode& node, const feed::TokenId& instance, uint64_t revision);
  // At the registry, now.
  bool is_marked(const SimToken& token) const;
  // Whether a node may know of a revocation that the registry has lost.
  bool was_revoked(const SimToken& token) const;

  LanePort& port_;
  SimLaneRegistry& registry_;
  LaneTruth& truth_;
  std::map<size_t, Acknowledged> nodes_;
  // By node and instance: what the last event about each token was, up to the revision beside it.
  using Place = std::pair<size_t, feed::TokenId>;
  std::map<Place, std::map<feed::TokenId, feed::EventKind>> last_;
  std::map<Place, uint64_t> seen_;
  uint64_t accepted_ = 0, denied_ = 0;
};

}  // namespace notp::sim
