// Replay gates in a world: the decisions that nodes have recorded, what a gate makes of them, and
// the person who lets go what is held. The rules of who must pass a gate are the core's; the checks
// here do not ask it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "notp-client/agent/core/agent_effect.hpp"
#include "tests/sim/sim_registry.hpp"
#include "tests/sim/world.hpp"
#include "tests/sim/world_port.hpp"

namespace notp::sim {

inline constexpr TimeMs kGateSlowMs = 5'000;  // the longest judgement

// What the checks know of a node.
struct GateSite {
  size_t node = 0;
  const store::StoreState& stored;
  // Of its PDP; nullptr: it gives no decisions of the ledger. nullopt: it was not told of any.
  std::function<std::optional<const PublishedRelease*>(const model::LedgerId&)> decides;
  // Whether the node must deny a release now, or may: a deadline is near.
  std::function<bool(const PublishedRelease&)> is_denied;
  std::function<bool(const PublishedRelease&)> is_withdrawn;  // as the node knows
  std::function<bool(const PublishedRelease&)> is_readable;   // in its store, since the start
};

// One thread.
class SimGate {
 public:
  SimGate(WorldPort& world, const SimRegistry& registry) : world_(world), registry_(registry) {}

  // The node has recorded some decisions with this release. Records outlive its process.
  void decide(size_t node, const PublishedRelease& release);
  // The PDP decides with it.
  void activated(size_t node, const PublishedRelease& release);

  // Checks which releases of an Activate have to pass a gate, when the core yields it.
  void check(const GateSite& site, const agent::effect::Activate& what);
  // What the gates say of it; nullopt: they let it pass.
  std::optional<Error> judge(const GateSite& site, const agent::effect::Activate& what);

  // A node's report at the registry. True: it is to be told that the release may go.
  bool reported(size_t node, const wire::Commit& commit);
  // Called when a person lets a release go.
  std::function<void(size_t node, const wire::ReleaseHeld& release)> on_release;

  void count(Verdict& verdict) const;

 private:
  struct Decision {
    uint8_t kind = 0;  // of the question: a bit of PublishedRelease::outcomes
    bool allow = false;
  };
  using Place = std::pair<size_t, model::LedgerId>;

  std::optional<Error> judge_one(size_t node, const PublishedRelease& candidate);
  void check_gated(const GateSite& site, const PublishedRelease& candidate, bool was_released);
  void check_ungated(const GateSite& site, const PublishedRelease& candidate);
  void violation(const GateSite& site, const PublishedRelease& candidate, std::string_view text);
  // The release that `candidate` replaces beyond doubt; nullptr: none.
  const PublishedRelease* replaced(const GateSite& site, const PublishedRelease& candidate) const;

  WorldPort& world_;
  const SimRegistry& registry_;
  std::map<Place, std::deque<Decision>> decisions_;  // newest last
  std::set<std::pair<size_t, Hash>> decided_;        // with which nodes have decided
  std::set<std::pair<Place, uint64_t>> ordered_;     // versions that a person let go
  std::set<std::pair<Place, uint64_t>> waiting_;     // that a person looks at
  uint64_t passed_ = 0, held_ = 0, few_ = 0, released_ = 0;
};

}  // namespace notp::sim
