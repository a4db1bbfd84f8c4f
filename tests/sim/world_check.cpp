// The invariants of design/reliability.md, checked after every event of an agent.
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/world_run.hpp"

namespace notp::sim {
namespace {

// The latest that a PDP may still decide with a release after the publisher's deadline. A node's
// clock that runs behind does not extend it: the limit counts the time since the registry's
// statement arrived, by the boot clock. The issue time, in the node's own time, is capped to that
// arrival, so an age starts there or earlier. While a process lives, its trusted time moves at
// least as fast as true time; so the true deadline is at most `hard_s` after the arrival. Over a
// restart with the wall clock set back, a node loses what was not durable yet (at most
// kClockKeepMs, check_crash) and its downtime. ClockOracle computes exactly that, and does not use
// what the agent reports of its clocks.
//
// On top: the core's deadline is exact to the millisecond; then the store composes (its queue, some
// 100 ms) and the PDP compiles, which takes up to kPdpSlowMs each for the current job, for a
// state that another ledger's release spoils, and for the rounds after it that find that release.
constexpr TimeMs kDenyLateMs = 500 + 5 * kPdpSlowMs;
// Trusted time becomes durable every kClockKeepMs, and the write takes a moment.
constexpr TimeMs kKeepLateMs = limits::kClockKeepMs + 2'000;
// Without faults in an outage, a state changes within a second.
constexpr TimeMs kFlipLateMs = 1'000;

std::pair<uint64_t, uint64_t> place(const trust::Floor& floor) {
  return {floor.epoch, floor.version};
}

TimeMs span_ms(uint64_t seconds) { return static_cast<TimeMs>(seconds) * 1'000; }

// The time since which a condition has held, as far as observed.
TimeMs since(TimeMs before_ms, bool holds, TimeMs now_ms) {
  return !holds ? kNever : before_ms == kNever ? now_ms : before_ms;
}

}  // namespace

void World::check(Agent& agent) {
  check_store(agent);
  if (agent.core) check_active(agent);
}

void World::check_store(Agent& agent) {
  if (agent.checked_writes == agent.store.writes()) return;
  agent.checked_writes = agent.store.writes();
  check_trust(agent, agent.store.state(), /*durable=*/false);
  check_trust(agent, agent.store.durable_state(), /*durable=*/true);
  // Files and contents change with the releases alone; damage by a disk is not the node's fault.
  if (agent.checked_releases == agent.store.release_changes()) return;
  agent.checked_releases = agent.store.release_changes();
  for (const auto& [ledger, stored] : agent.store.state().ledgers)
    check_content(agent, ledger, stored);
}

// 2: none of this decreases, neither durable nor pending. The sequence restarts under another
// freshness key, in one step with its root.
void World::check_trust(Agent& agent, const store::StoreState& state, bool durable) {
  Highest& highest = agent.highest;
  for (const store::StoredRoot& root : state.root_chain)
    if (root.version > registry_.trust().newest() ||
        root.envelope != registry_.trust().envelope(root.version))
      violation(agent.index, fmt::format("root {} is stored and nobody made it", root.version));
  if (!verdict_.violations.empty()) return;
  const uint64_t root = state.root_chain.empty() ? 0 : state.root_chain.back().version;
  if (root < highest.root)
    violation(agent.index, fmt::format("the root fell from {} to {}", highest.root, root));
  const size_t key = root == 0 ? 0 : registry_.trust().freshness_key(root);
  const std::pair sequence{key, state.freshness_sequence};
  if (sequence < highest.sequence)
    violation(agent.index, fmt::format("the freshness sequence fell from {} to {}",
                                       highest.sequence.second, sequence.second));
  if (state.clock.wall_ms < highest.high_water_ms)
    violation(agent.index, fmt::format("the high-water mark fell from {} to {}",
                                       highest.high_water_ms, state.clock.wall_ms));
  if (durable) {
    highest.root = root;
    highest.sequence = sequence;
    highest.high_water_ms = state.clock.wall_ms;
  }
  for (const auto& [ledger, stored] : state.ledgers) {
    auto& [listed_key, listed] = highest.listed[ledger];
    if (std::tuple{key, place(stored.listed)} < std::tuple{listed_key, place(listed)})
      violation(agent.index, fmt::format("the listed head of {} fell from v{} to v{}",
                                         ledger.text(), listed.version, stored.listed.version));
    if (place(stored.floor) < place(highest.floor[ledger]))
      violation(agent.index, fmt::format("the floor of {} fell from v{} to v{}", ledger.text(),
                                         highest.floor[ledger].version, stored.floor.version));
    if (!durable) continue;
    highest.listed[ledger] = {key, stored.listed};
    highest.floor[ledger] = stored.floor;
  }
}

// 1, 3: every stored release is a published one, complete, with the signed content root.
void World::check_content(Agent& agent, const model::LedgerId& ledger,
                          const store::StoredLedger& stored) {
  for (const store::StoredRelease& release : stored.releases) {
    const PublishedRelease* published = registry_.signed_by_publisher(release.ref.release_hash);
    if (!published || published->release.version != release.ref.version ||
        published->release.content_root != release.ref.content_root)
      violation(agent.index, "a stored release was never published");
    const auto tree = agent.store.tree(ledger, release.ref.version);
    if (!tree || (*tree)->content_root() != release.ref.content_root)
      violation(agent.index, fmt::format("{} v{} is stored with other content than signed",
                                         ledger.text(), release.ref.version));
  }
}

// The trust state at the start of the installation allowed it.
void World::check_installed(Agent& agent, const agent::InstallRequest& request,
                            const store::StoredRelease& stored) {
  const std::string what = fmt::format("{} v{}", stored.ref.ledger.text(), stored.ref.version);
  const PublishedRelease* release = registry_.signed_by_publisher(stored.ref.release_hash);
  if (!release) return violation(agent.index, what + " was installed and nobody published it");
  const auto [first, is_first] =
      first_installed_.try_emplace({stored.ref.ledger, stored.ref.version}, release->hash);
  if (options_.restores && first->second != release->hash)
    violation(agent.index, what + " was installed, and another node has another one");
  if (!registry_.trust().authorises(request.trusted.root->version, release->publisher,
                                    release->release.epoch))
    violation(agent.index, what + " was installed against the root");
  const trust::LedgerTrust& known = request.trusted.ledgers.at(stored.ref.ledger);
  for (const trust::Floor& floor : {known.floor, known.listed})
    if (place(floor) == std::pair{stored.ref.epoch, stored.ref.version} &&
        floor.release_hash != stored.ref.release_hash)
      violation(agent.index, what + " was installed beside another one that was known");
}

// --- the PDP's releases

void World::check_active(Agent& agent) {
  const auto& durable = agent.store.durable_state();
  const uint64_t root = durable.root_chain.empty() ? 0 : durable.root_chain.back().version;
  for (const auto& [ledger, decided] : agent.pdp) {
    // Formatting is left to a violation: this runs after every event.
    const auto what = [&] { return fmt::format("{} v{}", ledger.text(), decided.desired.version); };
    const PublishedRelease* release = registry_.signed_by_publisher(decided.release);
    if (!release || (release->pdp_refuses && !decided.desired.freshness_status.denies())) {
      violation(agent.index, fmt::format("active on {}, which is no accepted release", what()));
      continue;
    }
    // 1: at or above the floor, except for releases above it that the PDP refused or has not seen
    // yet.
    const auto stored = durable.ledgers.find(ledger);
    if (stored == durable.ledgers.end() ||
        std::pair{release->release.epoch, release->release.version} > place(stored->second.floor))
      violation(agent.index,
                fmt::format("active on {}, above what the store has verified", what()));
    // 3: after a crash the node can start with the release that was active.
    if (!registry_.trust().ever_authorised(root, release->publisher, release->release.epoch))
      violation(
          agent.index,
          fmt::format("active on {}, and root {} is durable, which does not know its publisher",
                      what(), root));
    check_age(agent, ledger, decided, *release);
  }
}

// 4: no release is served past the publisher's hard_s, nor once it is known to be withdrawn.
void World::check_age(Agent& agent, const model::LedgerId& ledger, const Decided& decided,
                      const PublishedRelease& release) {
  Overdue& overdue = agent.overdue[ledger];
  if (overdue.release != decided.release) overdue = {.release = decided.release};
  if (release.release.on_hard != trust::OnHard::kDeny ||
      decided.desired.freshness_status.denies()) {
    overdue = {.release = decided.release};
    return;
  }
  const Now clocks = now(agent);
  const TimeMs until_ms = attested_ms(agent, decided.release) + span_ms(release.release.hard_s);
  overdue.aged_ms = since(overdue.aged_ms, agent.clock.with_jumps(clocks) > until_ms, now_ms_);
  overdue.withdrawn_ms =
      since(overdue.withdrawn_ms, agent.withdrawn[ledger].contains(decided.release), now_ms_);
  const auto late = [&](TimeMs since_ms, TimeMs allowed_ms) {
    return since_ms != kNever && now_ms_ - since_ms > allowed_ms;
  };
  const auto what = [&] { return fmt::format("{} v{}", ledger.text(), decided.desired.version); };
  if (late(overdue.aged_ms, kDenyLateMs))
    violation(agent.index, fmt::format("decides with {} {} ms past hard_s", what(),
                                       agent.clock.steady(clocks) - until_ms));
  if (late(overdue.withdrawn_ms, kDenyLateMs))
    violation(agent.index, fmt::format("decides with {}, which is withdrawn", what()));
}

// --- attested releases

void World::remember_install(Agent& agent, const Hash& hash) {
  if (const PublishedRelease* release = registry_.signed_by_publisher(hash))
    agent.installed_ms[hash] = std::min(release->release.issued_ms, agent.clock.steady(now(agent)));
}

// The latest time, in the node's trusted time, at which a release was attested: by a statement, or
// by its own issue time when it was installed.
TimeMs World::attested_ms(const Agent& agent, const Hash& release) const {
  TimeMs latest_ms = 0;
  for (const auto* attested : {&agent.vouched_ms, &agent.installed_ms})
    if (const auto found = attested->find(release); found != attested->end())
      latest_ms = std::max(latest_ms, found->second);
  return latest_ms;
}

void World::remember_statement(Agent& agent, const trust::Freshness& statement, bool attests) {
  const TimeMs at_ms = std::min(statement.issued_ms, agent.clock.steady(now(agent)));
  for (const trust::FreshHead& head : statement.heads) {
    agent.withdrawn[head.ledger] = {head.withdrawn.begin(), head.withdrawn.end()};
    if (!attests || head.version == 0) continue;
    TimeMs& vouched_ms = agent.vouched_ms.try_emplace(head.release_hash, at_ms).first->second;
    vouched_ms = std::max(vouched_ms, at_ms);
  }
}

void World::check_accepted(Agent& agent, const store::FreshnessKeep& keep) {
  ++verdict_.statements_accepted;
  const auto envelope = trust::Envelope::decode(keep.envelope);
  const auto statement = trust::Freshness::decode(*envelope);
  note("accepted", agent.index, fmt::format("{}", keep.sequence));
  if (!statement->class_id && statement->audience != node_id(agent.index))
    violation(agent.index, "accepted a statement for " + statement->audience);
  const auto assignments = recordings_.assignments.find(node_id(agent.index));
  if (statement->class_id && (assignments == recordings_.assignments.end() ||
                              std::ranges::none_of(assignments->second, [&](const auto& made) {
                                return made.first.class_id == *statement->class_id &&
                                       made.first.expires_ms > agent.clock.with_jumps(now(agent));
                              })))
    violation(agent.index, "accepted a statement for a class that it is not assigned to");
  if (statement->expires_ms <= agent.clock.with_jumps(now(agent)))
    violation(agent.index, "accepted a statement that had expired");
  if (statement->root_version > agent.core->status().root_version)
    violation(agent.index, "accepted a statement under a root that it does not know");
  for (const model::LedgerId& ledger : registry_.ledgers())
    if (!keep.listed.contains(ledger))
      violation(agent.index, "accepted a statement without " + ledger.text());
  remember_statement(agent, *statement, /*attests=*/true);
}

// What the registry says to a node is true of that node at that moment.
void World::check_attested(Agent& agent, const trust::Freshness& statement) {
  const std::string reader = node_id(agent.index);
  std::vector<session::Followed> followed;
  for (const trust::FreshHead& head : statement.heads) {
    followed.push_back({head.ledger, catalog_.ring(head.ledger, reader)});
    const auto target = catalog_.target(head.ledger, reader);
    if (head != registry_.fresh_head(head.ledger, target ? target->version : 0))
      violation(agent.index, fmt::format("was told of {} v{}, or of what is withdrawn, and another "
                                         "release is its target",
                                         head.ledger.text(), head.version));
  }
  if (statement.root_version != registry_.known_root())
    violation(agent.index, "was told of releases under an old root");
  ++(statement.class_id ? verdict_.statements_shared : verdict_.statements_own);
  if (!statement.class_id) return;
  if (*statement.class_id != serve::class_id_of(followed))
    violation(agent.index, "was sent the statement of another class");
  // Whatever a node claims to have.
  if (statement.sequence > static_cast<uint64_t>(registry_now().wall_ms) + 1'000)
    violation(agent.index, fmt::format("a class is at sequence {}", statement.sequence));
}

// An honest registry says nothing that its node cannot read, or that is not for it.
void World::check_closed(Agent& agent, const Error& error) {
  constexpr ErrorCode kImpossible[] = {ErrorCode::kState, ErrorCode::kMessage,
                                       ErrorCode::kSignature, ErrorCode::kWrongTarget};
  if (std::ranges::find(kImpossible, error.code) != std::end(kImpossible))
    violation(agent.index, "an honest session ended: " + error.message);
}

// In an outage without other faults each state changes at its exact second.
void World::check_aged(Agent& agent, const agent::effect::Aged& aged) {
  if (options_.outage_ms == 0 || aged.freshness_status.state <= trust::FreshnessState::kFresh)
    return;
  const Hash& release = agent.pdp.at(aged.ledger).release;
  const trust::FreshnessTerms& terms = aged.freshness_status.terms;
  const TimeMs due_ms =
      attested_ms(agent, release) +
      span_ms(aged.freshness_status.state == trust::FreshnessState::kStale ? terms.fresh_s
                                                                           : terms.hard_s);
  const TimeMs late_ms = agent.clock.steady(now(agent)) - due_ms;
  if (late_ms <= 0 || late_ms > kFlipLateMs)
    violation(agent.index,
              fmt::format("{} became {} {} ms late", aged.ledger.text(),
                          trust::freshness_state_name(aged.freshness_status.state), late_ms));
}

// --- over a restart

void World::check_crash(Agent& agent) {
  const TimeMs promised_ms = agent.clock.known_before(now(agent), kKeepLateMs);
  const TimeMs durable_ms = agent.store.durable_state().clock.wall_ms;
  if (durable_ms < promised_ms)
    violation(agent.index, fmt::format("a crash forgets {} ms of trusted time more than promised",
                                       promised_ms - durable_ms));
}

void World::check_boot(Agent& agent, const agent::AgentTrust& trust,
                       const store::StoreState& state) {
  for (const Error& finding : trust.findings())
    violation(agent.index, "a crash left what does not stand verification: " + finding.message);
  if (trust.now_ms() < state.clock.wall_ms)
    violation(agent.index, fmt::format("a restart sets trusted time back by {} ms",
                                       state.clock.wall_ms - trust.now_ms()));
  if (!state.root_chain.empty() && trust.root().version != state.root_chain.back().version)
    violation(agent.index, "a restart trusts another root than the newest stored one");
  if (trust.trusted().freshness_sequence < state.freshness_sequence)
    violation(agent.index, "a restart forgets the freshness sequence");
}

// --- end of the run

// Whatever happened to its clocks, every release at every node has expired.
void World::check_expired() {
  for (auto& agent : agents_) {
    if (!agent->core) continue;
    for (const agent::LedgerStatus& row : agent->core->status().ledgers)
      if (row.freshness_status.state != trust::FreshnessState::kExpired)
        violation(agent->index,
                  fmt::format("{} is {} at the end of the outage", row.ledger.text(),
                              trust::freshness_state_name(row.freshness_status.state)));
  }
}

// 7: every agent is at the newest release, fresh, on the newest root.
void World::check_converged() {
  for (auto& agent : agents_) {
    if (!agent->core) {
      violation(agent->index, "is not running at the end");
      continue;
    }
    const agent::AgentStatus status = agent->core->status();
    const auto& roots = agent->store.durable_state().root_chain;
    if (status.root_version != registry_.trust().newest() || roots.empty() ||
        roots.back().version != registry_.trust().newest())
      violation(agent->index, fmt::format("ends with root {}, the newest is {}",
                                          status.root_version, registry_.trust().newest()));
    for (const agent::LedgerStatus& row : status.ledgers) {
      const PublishedRelease* head = registry_.head(row.ledger);
      if (!head) continue;
      const auto decided = agent->pdp.find(row.ledger);
      if (decided == agent->pdp.end() || decided->second.release != head->hash ||
          row.stored_version != head->release.version)
        violation(agent->index,
                  fmt::format("{} ends with v{} stored and v{} active, the head is v{}",
                              row.ledger.text(), row.stored_version, row.active_version,
                              head->release.version));
      else if (row.freshness_status.state != trust::FreshnessState::kFresh ||
               decided->second.desired.freshness_status.state != trust::FreshnessState::kFresh)
        violation(agent->index,
                  fmt::format(
                      "{} ends {}, and its PDP was told {}", row.ledger.text(),
                      trust::freshness_state_name(row.freshness_status.state),
                      trust::freshness_state_name(decided->second.desired.freshness_status.state)));
    }
  }
}

}  // namespace notp::sim
