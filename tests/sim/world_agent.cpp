// Processes of nodes: start, crash, writes, and the effects of their cores.
#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"
#include "tests/sim/world_run.hpp"

namespace notp::sim {
namespace {

constexpr TimeMs kBackoffFirstMs = 200;
constexpr TimeMs kBackoffMaxMs = 5'000;

}  // namespace

Now World::look(Agent& agent) {
  agent.clock.look(now(agent));
  return now(agent);
}

// The kernel notifies the host of the new clock.
void World::set_clock(Agent& agent, TimeMs skew_ms) {
  agent.skew_ms = skew_ms;
  note("clock", agent.index, fmt::format("{}", skew_ms));
  at_agent(agent, 1, [this, &agent] { agent.core->on_deadline(look(agent)); });
}

void World::boot(Agent& agent) {
  if (agent.core) return;
  ++agent.life;
  agent.armed_ms.fill(kNever);
  agent.unreadable.clear();
  agent.store_free_ms = agent.pdp_free_ms = 0;
  note("boot", agent.index);
  const TimeMs wall_ms = now(agent).wall_ms;
  if (healed_ && agent.store.state().clock.wall_ms > wall_ms + 1'000) {
    NOTP_ASSERT(agent.store.reset_clock(wall_ms), "the memory store writes");
    agent.store.sync();
    agent.highest.high_water_ms = wall_ms;
    for (auto* attested : {&agent.vouched_ms, &agent.installed_ms})
      for (auto& [release, at_ms] : *attested) at_ms = std::min(at_ms, wall_ms);
  }
  // A crash may have taken an installation back.
  std::set<Hash> stored;
  for (const auto& [ledger, of_ledger] : agent.store.state().ledgers)
    for (const store::StoredRelease& release : of_ledger.releases)
      stored.insert(release.ref.release_hash);
  std::erase_if(agent.installed_ms,
                [&](const auto& installed) { return !stored.contains(installed.first); });
  agent.clock.boot(now(agent), agent.store.state().clock.wall_ms);
  auto state = agent.store.load();
  NOTP_ASSERT(state, "the memory store loads");
  auto trust = agent::AgentTrust::open({.trust_domain = std::string(kTrustDomain),
                                        .audience = node_id(agent.index),
                                        .ledgers = registry_.ledgers()},
                                       registry_.trust().envelope(1), *state, now(agent));
  if (!trust) return violation(agent.index, "cannot start: " + trust.error().message);
  check_boot(agent, *trust, *state);
  agent.core = std::make_unique<agent::AgentCore>(
      agent::AgentOptions{
          .trust_domain = std::string(kTrustDomain),
          .user_agent = "sim",
          .ledgers = registry_.ledgers(),
          .backoff_first_ms = kBackoffFirstMs,
          .backoff_max_ms = options_.outage_ms > 0 ? limits::kBackoffMaxMs : kBackoffMaxMs},
      std::move(*state), *std::move(trust), random(), now(agent));
  logs_.booted(agent.index);
  agent.core->start(look(agent));
  if (logs_.keeps_log(agent.index)) tell_tree(agent.index);
  settle(agent);
}

void World::stop(Agent& agent) {
  agent.store.sync();
  agent.link.reset();
  recovery_.ended(agent.index);
  agent.core.reset();
  agent.pdp.clear();
  agent.overdue.clear();
}

// At times the whole machine goes down, and restarts with another wall clock.
void World::crash(Agent& agent) {
  note("crash", agent.index);
  ++verdict_.faults;
  check_crash(agent);
  agent.store.crash(random());
  const bool machine = chance(2);
  logs_.crashed(agent.index, machine);
  stop(agent);
  if (const auto& statements = agent.store.state().statements; !statements.empty())
    remember_statement(
        agent, *trust::Freshness::decode(*trust::Envelope::decode(statements.back().envelope)),
        /*attests=*/false);
  else
    agent.withdrawn.clear();
  if (machine && faulty() && chance(2)) clock_jumps(agent);
  check(agent);
  at(between(10, 8'000), [this, &agent, machine] {
    if (machine) agent.boot_origin_ms = now_ms_ - between(0, 500);
    boot(agent);
  });
}

// Runs the core's effects, moves bytes, checks the invariants; after every event of an agent.
void World::settle(Agent& agent) {
  for (bool again = true; again && agent.core;) {
    again = false;
    pump(agent);
    for (agent::AgentEffect& effect : agent.core->take_effects()) {
      again = true;
      std::visit([&](auto& e) { run_effect(agent, e); }, effect);
    }
  }
  if (agent.core) arm_deadlines(agent);
  check(agent);
}

// The store's worker does one job at a time. A write is not synced at once: a crash in between
// keeps all of it or nothing.
void World::on_store(Agent& agent, Action write, Action then) {
  const TimeMs written_ms = std::max(now_ms_, agent.store_free_ms) + between(1, 15);
  const TimeMs synced_ms = written_ms + between(1, 10);
  agent.store_free_ms = synced_ms;
  at_agent(agent, written_ms - now_ms_, std::move(write));
  at_agent(agent, synced_ms - now_ms_, [&agent, then = std::move(then)] {
    agent.store.sync();
    if (then) then();
  });
}

// --- effects

void World::run_effect(Agent& agent, agent::effect::Connect&) {
  at_agent(agent, between(1, 40), [this, &agent] { connect(agent); });
}

void World::run_effect(Agent& agent, agent::effect::Install& effect) {
  auto request = std::make_shared<const agent::InstallRequest>(std::move(effect.request));
  auto outcome = std::make_shared<Result<store::StoredRelease>>(store::StoredRelease{});
  auto is_new = std::make_shared<bool>(false);
  on_store(
      agent,
      [this, &agent, request, outcome, is_new] {
        *outcome = agent::install_release(*request, agent.store);
        if (*outcome) {
          check_installed(agent, *request, **outcome);
          *is_new = !agent.installed_ms.contains((*outcome)->ref.release_hash);
          if (*is_new) remember_install(agent, (*outcome)->ref.release_hash);
        } else {
          ++verdict_.refused;
        }
        note("install", agent.index,
             *outcome ? fmt::format("{} v{}", request->ledger.text(), request->version)
                      : outcome->error().message);
      },
      [this, &agent, outcome, is_new] {
        const Now now = look(agent);
        // The node takes it at this time; the one of the write counts if it dies in between.
        if (*is_new) remember_install(agent, (*outcome)->ref.release_hash);
        agent.core->on_installed(std::move(*outcome), now);
      });
}

void World::run_effect(Agent& agent, agent::effect::ScanContent& effect) {
  auto request = std::make_shared<const agent::ScanRequest>(std::move(effect.request));
  auto scan = std::make_shared<Result<agent::ContentScan>>(agent::ContentScan{});
  ++(request->form ? verdict_.inventories : verdict_.repairs);
  on_store(
      agent,
      [this, &agent, request, scan] {
        *scan = agent::scan_content(*request, agent.store);
        if (!agent.store.read_all(request->ledger, request->version))
          for (const store::StoredRelease& each :
               agent.store.state().ledgers.at(request->ledger).releases)
            if (each.ref.version == request->version)
              agent.unreadable.insert(each.ref.release_hash);
        note("stock", agent.index, fmt::format("{} v{}", request->ledger.text(), request->version));
      },
      [this, &agent, request, scan] {
        agent.core->on_content_scan(*request, std::move(*scan), look(agent));
      });
}

// A thread of its own, which reads the store in between.
void World::run_effect(Agent& agent, agent::effect::GiveBack& effect) {
  at_agent(agent, between(1, chance(10) ? 5'000 : 200),
           [this, &agent, job = std::move(effect.job)] {
             const agent::ReturnContents contents{
                 .tree = [&agent](const model::LedgerId& ledger,
                                  uint64_t version) { return agent.store.tree(ledger, version); },
                 .blob = [&agent](const Hash& hash) { return agent.store.blob(hash); }};
             agent.core->on_returned(job, agent::make_return(job, contents, {}), look(agent));
           });
}

// Composed by the store's worker, then compiled by the PDP, one at a time each.
void World::run_effect(Agent& agent, agent::effect::Activate& effect) {
  const uint64_t number = ++agent.activations;
  gate_.check(gate_site(agent), effect);
  agent.store_free_ms = std::max(now_ms_, agent.store_free_ms) + between(1, 10);
  const bool is_gated =
      std::ranges::any_of(effect.releases, [](const auto& each) { return each.second.is_gated; });
  if (!is_gated) return give_pdp(agent, std::move(effect), agent.store_free_ms);
  at_agent(
      agent,
      agent.store_free_ms - now_ms_ + (chance(4) ? between(100, kGateSlowMs) : between(1, 99)),
      [this, &agent, number, what = std::move(effect)]() mutable { judge(agent, what, number); });
}

void World::judge(Agent& agent, agent::effect::Activate& what, uint64_t number) {
  if (number != agent.activations) return note("gate replaced", agent.index);
  const auto held = gate_.judge(gate_site(agent), what);
  if (held) return agent.core->on_pdp(what.desired, held, look(agent));
  give_pdp(agent, std::move(what), now_ms_);
}

void World::give_pdp(Agent& agent, agent::effect::Activate what, TimeMs composed_ms) {
  agent.pdp_free_ms = std::max(composed_ms, agent.pdp_free_ms) +
                      (chance(20) ? between(100, kPdpSlowMs) : between(1, 10));
  at_agent(agent, agent.pdp_free_ms - now_ms_,
           [this, &agent, given = std::move(what)] { pdp_decides(agent, given); });
}

GateSite World::gate_site(Agent& agent) {
  // A gate may judge or not while a deadline is near.
  constexpr TimeMs kNearMs = 2'000;
  return {.node = agent.index,
          .stored = agent.store.state(),
          .decides =
              [this, &agent](const model::LedgerId& ledger) {
                const auto found = agent.pdp.find(ledger);
                if (found == agent.pdp.end()) return std::optional<const PublishedRelease*>();
                return std::optional(found->second.desired.freshness_status.denies()
                                         ? nullptr
                                         : registry_.signed_by_publisher(found->second.release));
              },
          .is_denied =
              [this, &agent](const PublishedRelease& release) {
                if (release.release.on_hard != trust::OnHard::kDeny) return false;
                // A node may take a release for older than it is (check_age has the other side).
                for (const agent::LedgerStatus& row : agent.core->status().ledgers)
                  if (row.ledger == release.release.ledger &&
                      row.active_version == release.release.version &&
                      row.freshness_status.denies())
                    return true;
                const TimeMs until_ms = attested_ms(agent, release.hash) +
                                        static_cast<TimeMs>(release.release.hard_s) * 1'000;
                return agent.clock.with_jumps(now(agent)) > until_ms - kNearMs;
              },
          .is_withdrawn =
              [&agent](const PublishedRelease& release) {
                return agent.withdrawn[release.release.ledger].contains(release.hash);
              },
          .is_readable =
              [&agent](const PublishedRelease& release) {
                return !agent.unreadable.contains(release.hash) &&
                       agent.store.read_all(release.release.ledger, release.release.version);
              }};
}

void World::record_decisions(Agent& agent) {
  for (const auto& [ledger, decided] : agent.pdp)
    if (const PublishedRelease* release = registry_.signed_by_publisher(decided.release);
        release && !decided.desired.freshness_status.denies())
      gate_.decide(agent.index, *release);
}

void World::pdp_decides(Agent& agent, const agent::effect::Activate& what) {
  std::optional<Error> refusal;
  std::map<model::LedgerId, Decided> decided;
  for (const auto& [ledger, wanted] : what.desired) {
    const agent::ActivatedRelease& activated = what.releases.at(ledger);
    if (!activated.is_active && !wanted.freshness_status.denies())
      if (const auto read = agent.store.read_all(ledger, wanted.version); !read) {
        note("unreadable", agent.index, ledger.text());
        agent.unreadable.insert(wanted.release_hash);
        return agent.core->on_pdp(what.desired, read.error(), look(agent));
      }
    const Hash& hash = activated.stored.ref.release_hash;
    const PublishedRelease* release = registry_.signed_by_publisher(hash);
    if (!release) return violation(agent.index, "the PDP was given a release nobody published");
    // A release that is to be denied has neither policies nor data to refuse.
    if (release->pdp_refuses && !wanted.freshness_status.denies())
      refusal = Error{ErrorCode::kPdpRejected, ledger.text() + " does not compile", {}};
    decided[ledger] = {wanted, hash};
  }
  if (!refusal) {
    for (const auto& [ledger, given] : decided)
      if (!given.desired.freshness_status.denies())
        gate_.activated(agent.index, *registry_.signed_by_publisher(given.release));
    agent.pdp = std::move(decided);
    ++verdict_.activations;
  }
  note("pdp", agent.index, refusal ? refusal->message : "active");
  agent.core->on_pdp(what.desired, refusal, look(agent));
}

void World::run_effect(Agent& agent, agent::effect::Persist& effect) {
  const auto* pinned = std::get_if<store::change::PinRoot>(&effect.change);
  if (pinned) {
    ++verdict_.roots_walked;
    note("root taken", agent.index, fmt::format("{}", pinned->root.version));
  }
  if (const auto* freshness = std::get_if<store::change::KeepFreshness>(&effect.change))
    check_accepted(agent, freshness->keep);
  const auto write = [&agent, change = std::move(effect.change)] {
    NOTP_ASSERT(store::apply_change(agent.store, change), "the memory store writes");
  };
  on_store(agent, write);
}

// As AgentHost does.
void World::run_effect(Agent& agent, agent::effect::LogGranted& effect) {
  agent.core->alarms().on_log_shipped(logs_.granted(agent.index, effect.grant));
  tell_tree(agent.index);
}

void World::run_effect(Agent& agent, agent::effect::ReceiptArrived& effect) {
  logs_.on_receipt(agent.index, effect.receipt);
}

void World::run_effect(Agent& agent, agent::effect::Alarm& effect) {
  ++verdict_.alarms[error_traits(effect.error.code).name];
  note("alarm", agent.index, effect.error.message);
}

void World::run_effect(Agent& agent, agent::effect::Changed& effect) {
  note("changed", agent.index,
       fmt::format("{} v{} state {}", effect.ledger.text(), effect.version,
                   static_cast<int>(effect.state)));
}

void World::run_effect(Agent& agent, agent::effect::Aged& effect) {
  verdict_.stale += effect.freshness_status.state == trust::FreshnessState::kStale;
  verdict_.expired += effect.freshness_status.state == trust::FreshnessState::kExpired;
  note("aged", agent.index,
       fmt::format("{} v{} {}{}", effect.ledger.text(), effect.version,
                   trust::freshness_state_name(effect.freshness_status.state),
                   effect.freshness_status.withdrawn ? " withdrawn" : ""));
  check_aged(agent, effect);
}

// --- what decision records need of a node

std::optional<record::ActiveSet> World::active_set(size_t node) const {
  const Agent& agent = *agents_[node];
  if (!agent.core || agent.pdp.empty()) return std::nullopt;
  record::ActiveSet out;
  for (const auto& [ledger, decided] : agent.pdp) {
    const PublishedRelease* release = registry_.signed_by_publisher(decided.release);
    out.releases.push_back(
        {trust::ref_of(release->release, release->hash),
         std::string(trust::freshness_state_name(decided.desired.freshness_status.state))});
  }
  out.engine = "sim";
  return out;
}

void World::crash_node(size_t node) {
  if (agents_[node]->core) crash(*agents_[node]);
}

void World::restart_node(size_t node) {
  Agent& agent = *agents_[node];
  logs_.stopped(node);
  stop(agent);
  at(between(10, 1'000), [this, &agent] { boot(agent); });
}

void World::cut_node(size_t node) {
  cut(*agents_[node]);
  settle(*agents_[node]);
}

void World::send_grant(size_t node, uint64_t link, const wire::LogGrant& grant) {
  Agent& agent = *agents_[node];
  if (!agent.core || !agent.link || agent.link->id != link) return;
  agent.link->server->log_granted(grant);
  at_agent(agent, 0, [] {});  // what the session sends
}

bool World::send_receipt(size_t node, uint64_t link, const wire::LogReceipt& receipt) {
  Agent& agent = *agents_[node];
  if (!agent.core || !agent.link || agent.link->id != link) return false;
  agent.link->server->log_receipt(receipt);
  at_agent(agent, 0, [] {});  // what the session sends
  return true;
}

void World::tell_tree(size_t node) {
  agents_[node]->core->alarms().on_tree(logs_.tree_witness(node), look(*agents_[node]).boot_ms);
}

std::string World::tree_refused(size_t node) const {
  return agents_[node]->core->status().tree_refused;
}

std::string World::receipts_overdue(size_t node) const {
  return agents_[node]->core->status().receipts_overdue;
}

void World::refuse_log(size_t node, const Error& error) {
  agents_[node]->core->alarms().on_log_shipped(std::unexpected(error));
}

std::string World::log_refused(size_t node) const {
  return agents_[node]->core->status().log_refused;
}

}  // namespace notp::sim
