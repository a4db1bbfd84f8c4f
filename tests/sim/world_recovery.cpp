// The recovery story: the registry loses what came after a copy of it, and gets it back from nodes.
#include <fmt/format.h>

#include "tests/sim/world_run.hpp"

namespace notp::sim {

SimRecovery::Handlers World::recovery_handlers() {
  const auto ask = [this](size_t node, auto question) {
    Agent& agent = *agents_[node];
    if (!agent.core || !agent.link || !question(*agent.link->server)) return false;
    at_agent(agent, 0, [] {});  // what the session sends
    return true;
  };
  const auto tell = [this](auto what) {
    for (auto& agent : agents_) {
      if (!agent->core || !agent->link) continue;
      what(*agent->link->server);
      at_agent(*agent, 0, [] {});
    }
  };
  return {.ask_held =
              [ask](size_t node, const wire::HeldRequest& request) {
                return ask(node, [&](session::ServerSession& session) {
                  return session.ask_held(request).has_value();
                });
              },
          .ask_return =
              [this, ask](size_t node, const wire::ReturnRequest& request) {
                return ask(node, [&](session::ServerSession& session) {
                  return session.ask_return(request, registry_now()).has_value();
                });
              },
          .roots_back =
              [this, tell] {
                tell([this](session::ServerSession& session) {
                  session.roots_changed(registry_now());
                });
              },
          .release_back =
              [tell](const model::LedgerId& ledger) {
                tell([&](session::ServerSession& session) { session.target_changed(ledger); });
              },
          .done = [this] { recovered(); }};
}

void World::restore_registry(const SimRegistry::Copy& copy) {
  registry_.restore(copy);
  ++verdict_.faults;
  verdict_.lost += registry_.lost_count();
  note("restored", 0, fmt::format("root {}", registry_.known_root()));
  for (auto& agent : agents_) {
    if (!agent->core || !agent->link) continue;
    cut(*agent);
    settle(*agent);
  }
  recovery_.begin(between(2'000, 30'000));
}

// A number that was named to a node in a statement is not used again, although no node has the
// release.
void World::recovered() {
  registry_.forget_lost([this](const model::LedgerId& ledger, uint64_t version) {
    for (const auto& agent : agents_) {
      const auto known = agent->store.state().ledgers.find(ledger);
      if (known != agent->store.state().ledgers.end() && known->second.listed.version >= version)
        return true;
    }
    return false;
  });
  for (auto& agent : agents_) {
    if (!agent->core || !agent->link) continue;
    agent->link->server->freshness_due_now(registry_now());
    for (const model::LedgerId& ledger : registry_.ledgers())
      agent->link->server->target_changed(ledger);
    at_agent(*agent, 0, [] {});
  }
  if (healed_) publish_clean_heads();
}

void World::tell_recovery(Agent& agent, session::ServerEvent& event) {
  if (std::holds_alternative<session::server_event::Greeted>(event)) {
    recovery_.greeted(agent.index);
  } else if (const auto* more = std::get_if<session::server_event::HoldsMore>(&event)) {
    note("holds more", agent.index, fmt::format("{} v{}", more->ledger.text(), more->held_version));
    recovery_.on_event(agent.index, *more);
  } else if (const auto* held = std::get_if<session::server_event::HeldArrived>(&event)) {
    recovery_.on_event(agent.index, *held);
  } else if (auto* returned = std::get_if<session::server_event::ReturnArrived>(&event)) {
    recovery_.on_event(agent.index, *returned);
  } else if (const auto* closed = std::get_if<session::server_event::Closed>(&event)) {
    if (closed->error.code == ErrorCode::kState)
      violation(agent.index, "the session broke a rule: " + closed->error.message);
  }
}

void World::tell_recovery() {
  for (auto& agent : agents_) at(between(0, 2'000), [this, &agent = *agent] { boot(agent); });
  for (size_t i = 0; i < options_.publishes; ++i)
    at(between(0, kSafetyMs), [this] { publish_somewhere(); });
  for (uint64_t i = 0, n = random().below(6); i < n; ++i)
    at(between(1'000, kSafetyMs), [this] { change_roots(); });
  for (uint64_t i = 0, n = 1 + random().below(2); i < n; ++i) {
    auto copy = std::make_shared<SimRegistry::Copy>();
    const TimeMs copied_ms = between(0, kSafetyMs / 2);
    at(copied_ms, [this, copy] { *copy = registry_.copy(); });
    at(between(copied_ms, copied_ms + kSafetyMs / 2), [this, copy] {
      // Not in the middle of the recovery from another one.
      if (registry_.is_restored()) return;
      // At times while a release is on its way to the nodes.
      if (chance(2)) publish_somewhere();
      at(between(0, 200), [this, copy] { restore_registry(*copy); });
    });
  }
  if (options_.faults)
    for (uint64_t i = 0, n = 5 + random().below(40); i < n; ++i)
      at(between(1'000, kSafetyMs), [this] { random_fault(); });
  logs_.begin(kSafetyMs + 80'000);
  at(kSafetyMs + 20'000, [this] { heal(); });
  run_until(now_ms_ + kSafetyMs + 20'000 + kLivenessMs);
}

// What a node holds is at the registry, and nobody has met two releases of one version.
void World::check_recovered() {
  verdict_.recovered = recovery_.recovered();
  verdict_.returns_refused = recovery_.refused();
  if (registry_.is_restored()) violation(0, "the recovery never ended");
  for (const auto& agent : agents_)
    for (const auto& [ledger, stored] : agent->store.state().ledgers)
      for (const store::StoredRelease& release : stored.releases) {
        const PublishedRelease* again = registry_.find(ledger, release.ref.version);
        if (again == nullptr || again->hash != release.ref.release_hash)
          violation(agent->index, fmt::format("{} v{} is held, and the registry has lost it",
                                              ledger.text(), release.ref.version));
      }
  if (verdict_.alarms.contains(error_traits(ErrorCode::kEquivocation).name) &&
      !options_.publishes_while_lost)
    violation(0, "a node was shown two releases of one version");
}

}  // namespace notp::sim
