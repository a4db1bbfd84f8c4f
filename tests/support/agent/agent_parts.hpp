// Parts of an agent's core without the core: real trust and releases, and a registry that records
// what it receives.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "notp-client/agent/core/core_parts.hpp"
#include "tests/support/agent/agent_node.hpp"

namespace notp {

struct RecordedRegistry final : agent::RegistryPort {
  void commit(wire::Commit commit) override { commits.push_back(std::move(commit)); }
  void want(wire::Want want) override { wants.push_back(std::move(want)); }
  void send_inventory(const model::LedgerId& ledger, delta::Inventory) override {
    inventories.push_back(ledger);
  }
  void send_held(const wire::Held& held) override { helds.push_back(held); }
  void give_back(wire::Return head, model::Content artifact) override {
    returns.emplace_back(std::move(head), std::move(artifact));
  }
  void send_unknown_key(const wire::UnknownKey& key) override { unknown_keys.push_back(key); }
  void say_bye(std::string reason) override { byes.push_back(std::move(reason)); }

  std::vector<wire::Commit> commits;
  std::vector<wire::Want> wants;
  std::vector<model::LedgerId> inventories;
  std::vector<wire::Held> helds;
  std::vector<std::pair<wire::Return, model::Content>> returns;
  std::vector<wire::UnknownKey> unknown_keys;
  std::vector<std::string> byes;
};

inline store::StoredRelease stored(const TestRelease& release) {
  return {.ref = trust::ref_of(release.release, release.hash),
          .envelope = release.envelope,
          .confirmed = false,
          .quarantined = false,
          .error = {},
          .stored_ms = samples::kIssuedMs};
}

// A release of another ledger, with its own data roots.
inline TestRelease make_release_of(const model::LedgerId& ledger,
                                   const TestRelease* previous = nullptr) {
  return make_release(previous, [&](trust::Release& release) {
    release.ledger = ledger;
    release.data_roots = {ledger.name};
  });
}

class AgentPartsSite {
 public:
  static constexpr Now kNow{samples::kIssuedMs + 3'600'000, 5'000};

  // Stores these releases, newest first for each ledger.
  explicit AgentPartsSite(std::vector<store::StoredRelease> releases = {},
                          std::vector<model::LedgerId> ledgers = {samples::kLedger},
                          trust::Root root = samples::root())
      : state_(state_of(std::move(releases))),
        trust(open(std::move(root), ledgers)),
        alarms(effects),
        releases(std::move(ledgers), std::move(state_), trust),
        reports(this->releases, trust, registry) {}

  agent::CoreParts parts() { return {trust, releases, registry, reports, alarms, effects}; }
  // All effects of this kind since the last call of clear().
  template <typename Effect>
  std::vector<Effect> all() const {
    std::vector<Effect> out;
    for (const agent::AgentEffect& effect : effects)
      if (const auto* each = std::get_if<Effect>(&effect)) out.push_back(*each);
    return out;
  }
  void clear() { effects.clear(); }

 private:
  static store::StoreState state_of(std::vector<store::StoredRelease> releases) {
    store::StoreState state;
    for (store::StoredRelease& release : releases) {
      store::StoredLedger& ledger = state.ledgers[release.ref.ledger];
      if (ledger.releases.empty()) ledger.floor = trust::floor_of(release.ref);
      ledger.releases.push_back(std::move(release));
    }
    return state;
  }
  agent::AgentTrust open(trust::Root root, const std::vector<model::LedgerId>& ledgers) {
    auto opened = agent::AgentTrust::open({.trust_domain = std::string(samples::kDomain),
                                           .audience = samples::kNode,
                                           .ledgers = ledgers},
                                          samples::signed_by(root, {1}).encode(), state_, kNow);
    REQUIRE_MESSAGE(opened, opened.error().message);
    return *std::move(opened);
  }

  store::StoreState state_;

 public:
  agent::AgentTrust trust;
  agent::AgentEffects effects;
  agent::Alarms alarms;
  agent::LocalReleases releases;
  RecordedRegistry registry;
  agent::CommitReports reports;
};

}  // namespace notp
