#include "tests/sim/world.hpp"

#include <fmt/format.h>

#include "tests/sim/world_memo.hpp"
#include "tests/sim/world_run.hpp"
#include "tests/sim/world_signatures.hpp"

namespace notp::sim {
namespace {

constexpr uint64_t kEventsMax = 4'000'000;
constexpr TimeMs kSecondMs = 1'000, kMinuteMs = 60 * kSecondMs, kHourMs = 60 * kMinuteMs,
                 kDayMs = 24 * kHourMs;

std::vector<model::LedgerId> sim_ledgers() {
  return {{100'000'000'001, "gateway"}, {100'000'000'001, "payments"}};
}

SimTerms terms_of(const WorldOptions& options) {
  if (options.outage_ms == 0) return {};
  const auto outage_s = static_cast<uint64_t>(options.outage_ms / kSecondMs);
  return {.fresh_min_s = 3'600,
          .fresh_max_s = 3'600,
          .hard_min_s = outage_s / 3,
          .hard_max_s = outage_s - outage_s / 30};
}

}  // namespace

World::World(const WorldOptions& options)
    : WorldPort(options.seed),
      options_(options),
      registry_(sim_ledgers(), terms_of(options), random()),
      logs_(*this, options),
      recovery_(*this, registry_, options.agents, recovery_handlers()) {
  for (size_t i = 0; i < options.agents; ++i) {
    agents_.push_back(std::make_unique<Agent>());
    agents_.back()->index = i;
  }
  gate_.on_release = [this](size_t node, const wire::ReleaseHeld& release) {
    Agent& agent = *agents_[node];
    if (!agent.core || !agent.link) return;
    (void)agent.link->server->release_held(release);
    at_agent(agent, 0, [] {});  // what the session sends
  };
}

void World::at(TimeMs delay_ms, Action action) {
  events_.push({now_ms_ + delay_ms, sequence_++, nullptr, 0, std::move(action)});
}

void World::at_agent(Agent& agent, TimeMs delay_ms, Action action) {
  events_.push({now_ms_ + delay_ms, sequence_++, &agent, agent.life, std::move(action)});
}

void World::note(std::string_view what, size_t agent, const std::string& detail) {
  const std::string line = fmt::format("{} {} {} {}\n", now_ms_, agent, what, detail);
  trace_.update(line);
  if (options_.trace) options_.trace(line);
}

void World::violation(size_t agent, const std::string& text) {
  verdict_.violations.push_back(
      fmt::format("seed {} at {} ms, agent {}: {}", options_.seed, now_ms_, agent, text));
  note("VIOLATION", agent, text);
}

// --- actions of publishers and root key holders

void World::publish(const model::LedgerId& ledger, bool pdp_may_refuse) {
  if (is_behind()) return note("publish refused", 0, ledger.text());
  if (faulty() && !options_.restores && chance(4)) hold_some(ledger);
  const PublishedRelease& release =
      registry_.publish(ledger, registry_now().wall_ms, pdp_may_refuse);
  note("publish", 0,
       fmt::format("{} v{} {}", ledger.text(), release.release.version, release.hash.brief()));
  target_changed(ledger);
}

void World::target_changed(const model::LedgerId& ledger) {
  for (auto& agent : agents_) {
    if (!agent->core || !agent->link) continue;
    agent->link->server->target_changed(ledger);
    settle(*agent);
  }
}

void World::hold_some(const model::LedgerId& ledger) {
  for (const auto& agent : agents_) {
    if (!chance(3)) continue;
    note("hold", agent->index, ledger.text());
    registry_.hold(ledger, node_id(agent->index));
    at(between(1'000, 40'000), [this, ledger, index = agent->index] {
      note("let go", index, ledger.text());
      registry_.let_go(ledger, node_id(index));
      target_changed(ledger);
    });
  }
}

void World::publish_somewhere() {
  publish(registry_.ledgers()[random().below(registry_.ledgers().size())], /*pdp_may_refuse=*/true);
}

// A new release follows later.
void World::withdraw() {
  const model::LedgerId ledger = registry_.ledgers()[random().below(registry_.ledgers().size())];
  const PublishedRelease* release = registry_.head(ledger);
  if (!release) return;
  if (chance(4) && release->release.version > 1)
    release = registry_.find(ledger, release->release.version - 1);
  if (registry_.is_withdrawn(*release)) return;
  registry_.withdraw(*release);
  ++verdict_.withdrawals;
  note("withdraw", 0, fmt::format("{} v{}", ledger.text(), release->release.version));
  for (auto& agent : agents_) {
    if (!agent->core || !agent->link) continue;
    agent->link->server->freshness_due_now(registry_now());
    settle(*agent);
  }
  at(between(1'000, 19'000), [this, ledger] { publish(ledger, /*pdp_may_refuse=*/true); });
}

void World::change_roots() {
  if (is_behind()) return note("root refused", 0);
  SimTrust& trust = registry_.trust();
  const TimeMs wall_ms = registry_now().wall_ms;
  switch (random().below(4)) {
    case 0:
      trust.rotate_root_keys(wall_ms);
      break;
    case 1:
      trust.rotate_freshness_key(wall_ms);
      break;
    case 2:
      trust.raise_epoch(wall_ms);
      break;
    default:
      trust.rotate_publisher(wall_ms);
      for (const model::LedgerId& ledger : registry_.ledgers())
        at(between(0, 3'000), [this, ledger] { publish(ledger, /*pdp_may_refuse=*/true); });
  }
  roots_changed();
}

void World::roots_changed() {
  ++verdict_.roots_made;
  note("root", 0, fmt::format("{}", registry_.trust().newest()));
  for (auto& agent : agents_) {
    if (!agent->core || !agent->link) continue;
    agent->link->server->roots_changed(registry_now());
    settle(*agent);
  }
}

// --- faults

void World::steal() {
  if (chance(2))
    theft_.publisher = true;
  else
    theft_.freshness_key = registry_.trust().freshness_key(registry_.trust().newest());
  note("theft", 0, theft_.publisher ? "publisher" : "freshness");
}

// Mostly as a network clock corrects it; at times as only a user sets it.
void World::clock_jumps(Agent& agent) {
  const TimeMs sign = chance(2) ? 1 : -1;
  switch (random().below(6)) {
    case 0:
      set_clock(agent, sign * between(kHourMs, 5 * kHourMs));
      break;
    case 1:
      set_clock(agent, sign * between(kMinuteMs, 20 * kMinuteMs));
      break;
    case 2:
      set_clock(agent, 0);
      break;
    default:
      set_clock(agent, sign * between(0, 5 * kSecondMs));
  }
}

void World::random_fault() {
  Agent& agent = *agents_[random().below(agents_.size())];
  switch (random().below(8)) {
    case 0:
    case 1:
      if (!logs_.crash_soon(agent.index)) crash_node(agent.index);
      break;
    case 2:
    case 3:
      if (!agent.core || !agent.link) break;
      ++verdict_.faults;
      cut(agent);
      settle(agent);
      break;
    case 4:
      ++verdict_.faults;
      clock_jumps(agent);
      break;
    case 5:
    case 6:
      // The only copy of a lost release may be on that disk.
      if (options_.restores || !agent.store.damage(random())) break;
      note("damage", agent.index);
      ++verdict_.faults;
      // Detected on reading: by the next delta that needs it, or by the next start.
      if (chance(2)) crash_node(agent.index);
      break;
    default:
      note("partition", agent.index);
      ++verdict_.faults;
      agent.partitioned_until_ms = now_ms_ + between(100, chance(2) ? 15'000 : 150'000);
      if (agent.core && agent.link) {
        cut(agent);
        settle(agent);
      }
  }
}

// The faults end: attackers are gone, stolen keys are replaced as documented, the network is whole,
// users set the clocks right.
void World::heal() {
  note("heal", 0);
  healed_ = true;
  logs_.heal();
  if (theft_.freshness_key) {
    registry_.trust().rotate_freshness_key(registry_now().wall_ms);
    roots_changed();
  }
  if (theft_.publisher) {
    registry_.trust().rotate_publisher(registry_now().wall_ms);
    roots_changed();
    registry_.trust().raise_epoch(registry_now().wall_ms);
    roots_changed();
  }
  for (auto& agent : agents_) {
    agent->partitioned_until_ms = 0;
    set_clock(*agent, 0);
    if (!agent->core) continue;
    if (agent->clock.steady(now(*agent)) > now(*agent).wall_ms + kSecondMs) {
      restart_node(agent->index);  // and --reset-clock
    } else if (agent->link &&
               (agent->link->conduct != Conduct::kHonest || logs_.is_lied_to(agent->index))) {
      cut(*agent);
      settle(*agent);
    }
  }
  publish_clean_heads();
}

void World::publish_clean_heads() {
  for (const model::LedgerId& ledger : registry_.ledgers()) {
    const PublishedRelease* head = registry_.head(ledger);
    const SimTrust& trust = registry_.trust();
    if (!head || head->pdp_refuses || registry_.is_withdrawn(*head) || theft_.publisher ||
        !trust.authorises(trust.newest(), head->publisher, head->release.epoch))
      publish(ledger, /*pdp_may_refuse=*/false);
  }
}

// --- the stories

void World::tell_days_of_faults() {
  for (auto& agent : agents_) at(between(0, 2'000), [this, &agent = *agent] { boot(agent); });
  for (size_t i = 0; i < options_.publishes; ++i)
    at(between(0, kSafetyMs), [this] { publish_somewhere(); });
  for (uint64_t i = 0, n = random().below(6); i < n; ++i)
    at(between(1'000, kSafetyMs), [this] { change_roots(); });
  for (uint64_t i = 0, n = random().below(4); i < n; ++i)
    at(between(1'000, kSafetyMs), [this] { withdraw(); });
  if (options_.faults) {
    for (auto& agent : agents_) clock_jumps(*agent);
    for (uint64_t i = 0, n = 5 + random().below(60); i < n; ++i)
      at(between(1'000, kSafetyMs), [this] { random_fault(); });
    if (chance(2)) at(between(0, kSafetyMs / 2), [this] { steal(); });
  }
  for (auto& agent : agents_)
    for (int times = 0; times < 8; ++times)
      at(between(3'000, kSafetyMs), [this, &agent = *agent] { record_decisions(agent); });
  logs_.begin(kSafetyMs + 80'000);
  if (options_.faults) logs_.begin_faults(kSafetyMs);
  // Follow-ups of a withdrawal or a new publisher's key come before.
  at(kSafetyMs + 20'000, [this] { heal(); });
  run_until(now_ms_ + kSafetyMs + 20'000 + kLivenessMs);
}

void World::tell_outage() {
  for (auto& agent : agents_) at(between(0, 2'000), [this, &agent = *agent] { boot(agent); });
  for (const model::LedgerId& ledger : registry_.ledgers())
    at(3'000, [this, ledger] { publish(ledger, /*pdp_may_refuse=*/false); });
  at(kOutageStartMs, [this] {
    for (auto& agent : agents_) {
      agent->partitioned_until_ms = now_ms_ + options_.outage_ms;
      if (agent->core && agent->link) cut(*agent);
      settle(*agent);
    }
  });
  // The first node is left undisturbed.
  for (size_t i = 1; i < agents_.size(); ++i) {
    Agent& agent = *agents_[i];
    for (int times = 0; times < 4; ++times) {
      const TimeMs when_ms = kOutageStartMs + between(1, options_.outage_ms - kMinuteMs);
      at(when_ms, [this, &agent] { agent.skew_ms = -between(0, 40 * kDayMs); });
      if (times % 2 == 0)
        at(when_ms + 1, [this, &agent] {
          if (agent.core) crash(agent);
        });
    }
  }
  logs_.begin(kOutageStartMs + options_.outage_ms);
  at(kOutageStartMs + options_.outage_ms - 1, [this] { check_expired(); });
  at(kOutageStartMs + options_.outage_ms, [this] { heal(); });
  run_until(now_ms_ + kOutageStartMs + options_.outage_ms + kLivenessMs);
}

void World::run_until(TimeMs end_ms) {
  while (!events_.empty() && events_.top().at_ms <= end_ms && verdict_.violations.empty()) {
    Event event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_ms_ = event.at_ms;
    if (Agent* const agent = event.agent; !agent) {
      event.action();
    } else if (agent->core && agent->life == event.life) {
      event.action();
      settle(*agent);
    }
    if (++verdict_.events == kEventsMax) violation(0, "the world does not come to rest");
  }
}

Verdict World::run() {
  if (options_.outage_ms > 0)
    tell_outage();
  else if (options_.restores)
    tell_recovery();
  else if (options_.tree_attack != TreeAttack::kNone)
    tell_tree_attack();
  else
    tell_days_of_faults();
  if (verdict_.violations.empty() && options_.tree_attack == TreeAttack::kNone) check_converged();
  if (verdict_.violations.empty() && options_.restores) check_recovered();
  // A store that was put back lacks what nobody sends again.
  if (verdict_.violations.empty() && options_.tree_attack != TreeAttack::kRollBack)
    logs_.check_arrived();
  if (verdict_.violations.empty() && options_.tree_attack != TreeAttack::kNone)
    logs_.check_attack(options_.verify, verdict_);
  logs_.count(verdict_);
  gate_.count(verdict_);
  verdict_.trace_hash = trace_.finish();
  return std::move(verdict_);
}

Verdict& Verdict::operator+=(const Verdict& other) {
  for (uint64_t Verdict::* count : {&Verdict::events,
                                    &Verdict::faults,
                                    &Verdict::refused,
                                    &Verdict::activations,
                                    &Verdict::roots_made,
                                    &Verdict::roots_walked,
                                    &Verdict::statements_signed,
                                    &Verdict::statements_accepted,
                                    &Verdict::statements_shared,
                                    &Verdict::statements_own,
                                    &Verdict::withdrawals,
                                    &Verdict::stale,
                                    &Verdict::expired,
                                    &Verdict::inventories,
                                    &Verdict::repairs,
                                    &Verdict::parts,
                                    &Verdict::decisions,
                                    &Verdict::decisions_lost,
                                    &Verdict::records,
                                    &Verdict::segments,
                                    &Verdict::log_gaps,
                                    &Verdict::logs,
                                    &Verdict::lost,
                                    &Verdict::recovered,
                                    &Verdict::returns_refused,
                                    &Verdict::gates_passed,
                                    &Verdict::gates_held,
                                    &Verdict::gates_few,
                                    &Verdict::gates_released,
                                    &Verdict::receipts,
                                    &Verdict::cosignatures,
                                    &Verdict::trees_refused})
    this->*count += other.*count;
  for (const auto& [name, count] : other.sessions) sessions[name] += count;
  for (const auto& [name, count] : other.log_sessions) log_sessions[name] += count;
  for (const auto& [name, count] : other.alarms) alarms[name] += count;
  return *this;
}

Verdict run_world(const WorldOptions& options) {
  begin_signatures(options.ed25519 ? Signatures::kEd25519 : Signatures::kKnown);
  begin_memo(/*remembers=*/!options.ed25519);
  return World(options).run();
}

}  // namespace notp::sim
