// Parts of an agent's core without the core: real trust and releases, and a registry that records
// what it receives.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "notp-client/agent/core/core_parts.hpp"
#include "tests/support/agent_node.hpp"

namespace notp {

struct RecordedRegistry final : RegistryPort {
  void commit(wire::Commit commit) override { commits.push_back(std::move(commit)); }
  void want(wire::Want want) override { wants.push_back(std::move(want)); }
  void send_inventory(const LedgerId& ledger, Inventory) override { inventories.push_back(ledger); }
  void say_bye(std::string reason) override { byes.push_back(std::move(reason)); }

  std::vector<wire::Commit> commits;
  std::vector<wire::Want> wants;
  std::vector<LedgerId> inventories;
  std::vector<std::string> byes;
};

inline StoredRelease stored(const TestRelease& release) {
  return {.ref = ref_of(release.release, release.hash),
          .envelope = release.envelope,
          .confirmed = false,
          .quarantined = false,
          .error = {},
          .stored_ms = samples::kIssuedMs};
}

// A release of another ledger, with its own data roots.
inline TestRelease make_release_of(const LedgerId& ledger, const TestRelease* previous = nullptr) {
  return make_release(previous, [&](Release& release) {
    release.ledger = ledger;
    release.data_roots = {ledger.name};
  });
}

class AgentPartsSite {
 public:
  static constexpr Now kNow{samples::kIssuedMs + 3'600'000, 5'000};

  // Stores these releases, newest first for each ledger.
  explicit AgentPartsSite(std::vector<StoredRelease> releases = {},
                          std::vector<LedgerId> ledgers = {samples::kLedger},
                          Root root = samples::root())
      : state_(state_of(std::move(releases))),
        trust(open(std::move(root), ledgers)),
        alarms(effects),
        releases(std::move(ledgers), std::move(state_), trust),
        reports(this->releases, trust, registry) {}

  CoreParts parts() { return {trust, releases, registry, reports, alarms, effects}; }
  // All effects of this kind since the last call of clear().
  template <typename Effect>
  std::vector<Effect> all() const {
    std::vector<Effect> out;
    for (const AgentEffect& effect : effects)
      if (const auto* each = std::get_if<Effect>(&effect)) out.push_back(*each);
    return out;
  }
  void clear() { effects.clear(); }

 private:
  static StoreState state_of(std::vector<StoredRelease> releases) {
    StoreState state;
    for (StoredRelease& release : releases) {
      StoredLedger& ledger = state.ledgers[release.ref.ledger];
      if (ledger.releases.empty()) ledger.floor = floor_of(release.ref);
      ledger.releases.push_back(std::move(release));
    }
    return state;
  }
  AgentTrust open(Root root, const std::vector<LedgerId>& ledgers) {
    auto opened = AgentTrust::open({.trust_domain = std::string(samples::kDomain),
                                    .audience = samples::kNode,
                                    .ledgers = ledgers},
                                   samples::signed_by(root, {1}).encode(), state_, kNow);
    REQUIRE_MESSAGE(opened, opened.error().message);
    return *std::move(opened);
  }

  StoreState state_;

 public:
  AgentTrust trust;
  AgentEffects effects;
  Alarms alarms;
  LocalReleases releases;
  RecordedRegistry registry;
  CommitReports reports;
};

}  // namespace notp
