#include "tests/sim/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "common/assert.hpp"

namespace notp::sim {
namespace {

constexpr TimeMs kSafetyMs = 60'000;     // publishes and faults happen within
constexpr TimeMs kLivenessMs = 180'000;  // after the last fault: converged at the end
constexpr size_t kCoreTimer = 0, kClientTimer = 1, kServerTimer = 2;
constexpr uint64_t kEventsMax = 2'000'000;
constexpr TimeMs kWallStartMs = 1'790'000'000'000;

// One connection: the client's session lives in the agent's core, the server's here.
struct Link {
  uint64_t id = 0;
  ClientSession* client = nullptr;
  std::unique_ptr<SimCatalog> catalog;
  std::unique_ptr<ServerSession> server;
  bool lags = false;                          // serves an older state
  bool tampers = false;                       // flips a byte in what it serves
  TimeMs to_server_ms = 0, to_client_ms = 0;  // when the last bytes under way arrive: keeps order
};

struct Agent {
  size_t index = 0;
  uint64_t life = 0;  // counts processes: what belongs to an earlier one is dropped
  MemoryStore store;
  std::unique_ptr<AgentCore> core;  // null while the process is down
  std::unique_ptr<Link> link;
  Goal pdp;                                 // what the PDP decides with; empty after a restart
  std::map<LedgerId, Floor> highest_floor;  // that was ever durable
  TimeMs partitioned_until_ms = 0;
  // When the next deadline of the core, the client and the server session is scheduled: one each.
  std::array<TimeMs, 3> armed_ms = {kNever, kNever, kNever};
};

class World {
 public:
  explicit World(const WorldOptions& options);
  Verdict run();

 private:
  Now now() const { return {kWallStartMs + now_ms_, now_ms_}; }
  void at(TimeMs delay_ms, std::function<void()> action);
  // As at(), but dropped when the agent's process has died by then.
  void at_agent(Agent& agent, TimeMs delay_ms, std::function<void()> action);
  void note(std::string_view what, size_t agent, const std::string& detail = {});
  void violation(size_t agent, const std::string& text);
  bool faulty() const { return options_.faults && now_ms_ < kSafetyMs; }
  bool chance(uint64_t one_in) { return random_.below(one_in) == 0; }
  TimeMs between(TimeMs low, TimeMs high) {
    return low + static_cast<TimeMs>(random_.below(static_cast<uint64_t>(high - low + 1)));
  }

  void boot(Agent& agent);
  void crash(Agent& agent);
  void cut(Agent& agent);
  void settle(Agent& agent);
  void run_effect(Agent& agent, agent_effect::Connect& effect);
  void run_effect(Agent& agent, agent_effect::Install& effect);
  void run_effect(Agent& agent, agent_effect::Activate& effect);
  void run_effect(Agent& agent, agent_effect::PinRoot& effect);
  void run_effect(Agent& agent, agent_effect::KeepFreshness& effect);
  void run_effect(Agent& agent, agent_effect::KeepTime& effect);
  void run_effect(Agent& agent, agent_effect::Aged&) { note("aged", agent.index); }
  void run_effect(Agent&, agent_effect::Answered&) {}
  void run_effect(Agent& agent, agent_effect::Quarantine& effect);
  void run_effect(Agent& agent, agent_effect::Alarm& effect);
  void run_effect(Agent& agent, agent_effect::Changed& effect);
  void connect(Agent& agent);
  void pump(Agent& agent);
  void deliver(Agent& agent, bool to_server, Bytes bytes);
  void serve(Agent& agent);
  TimeMs deadline_of(Agent& agent, size_t timer) const;
  void arm_deadlines(Agent& agent);
  void fire_deadline(Agent& agent, size_t timer);
  void pdp_decides(Agent& agent, const Goal& goal);

  void publish();
  void heal();
  void random_fault();
  void check(Agent& agent);
  void check_floors(Agent& agent);
  void check_active(Agent& agent);
  void check_converged();

  struct Event {
    TimeMs at_ms;
    uint64_t sequence;
    std::function<void()> action;
    bool operator>(const Event& other) const {
      return std::tie(at_ms, sequence) > std::tie(other.at_ms, other.sequence);
    }
  };

  const WorldOptions options_;
  SeededRandom random_;
  SimRegistry registry_;
  AllRights rights_;
  std::vector<std::unique_ptr<Agent>> agents_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  TimeMs now_ms_ = 1'000;
  uint64_t sequence_ = 0;
  uint64_t next_link_ = 1;
  Sha256 trace_;
  Verdict verdict_;
};

std::vector<LedgerId> sim_ledgers() {
  return {{100'000'000'001, "gateway"}, {100'000'000'001, "payments"}};
}

World::World(const WorldOptions& options)
    : options_(options), random_(options.seed), registry_(sim_ledgers(), random_) {
  for (size_t i = 0; i < options.agents; ++i) {
    agents_.push_back(std::make_unique<Agent>());
    agents_.back()->index = i;
  }
}

void World::at(TimeMs delay_ms, std::function<void()> action) {
  events_.push({now_ms_ + delay_ms, sequence_++, std::move(action)});
}

void World::at_agent(Agent& agent, TimeMs delay_ms, std::function<void()> action) {
  at(delay_ms, [this, &agent, life = agent.life, action = std::move(action)] {
    if (!agent.core || agent.life != life) return;
    action();
    settle(agent);
  });
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

std::string node_identity(const Agent& agent) {
  return fmt::format("spiffe://{}/node/{}", kTrustDomain, agent.index);
}

// --- processes

void World::boot(Agent& agent) {
  ++agent.life;
  agent.armed_ms.fill(kNever);
  note("boot", agent.index);
  auto state = agent.store.load();
  NOTP_ASSERT(state, "the memory store loads");
  auto trust = AgentTrust::open({.trust_domain = std::string(kTrustDomain),
                                 .audience = node_identity(agent),
                                 .ledgers = registry_.ledgers()},
                                registry_.root_envelope(), *state, now());
  NOTP_ASSERT(trust, "the memory store holds what was verified");
  agent.core = std::make_unique<AgentCore>(AgentOptions{.trust_domain = std::string(kTrustDomain),
                                                        .agent = "sim",
                                                        .ledgers = registry_.ledgers(),
                                                        .backoff_first_ms = 200,
                                                        .backoff_max_ms = 5'000},
                                           std::move(*state), *std::move(trust), random_, now());
  agent.core->start(now());
  settle(agent);
}

void World::crash(Agent& agent) {
  note("crash", agent.index);
  ++verdict_.faults;
  agent.link.reset();
  agent.core.reset();
  agent.pdp.clear();
  agent.store.crash(random_);
  check(agent);
  at(between(10, 8'000), [this, &agent] { boot(agent); });
}

void World::cut(Agent& agent) {
  if (!agent.link) return;
  note("cut", agent.index);
  agent.link->client->on_cut(now());
  agent.core->on_session_progress(now());
  agent.core->on_disconnected(std::nullopt, now());
  agent.link.reset();
}

// Runs what the core asks for, moves bytes, checks the invariants; after every event of an agent.
void World::settle(Agent& agent) {
  for (bool again = true; again && agent.core;) {
    again = false;
    pump(agent);
    for (AgentEffect& effect : agent.core->take_effects()) {
      again = true;
      std::visit([&](auto& e) { run_effect(agent, e); }, effect);
    }
  }
  if (agent.core) arm_deadlines(agent);
  check(agent);
}

void World::run_effect(Agent& agent, agent_effect::Connect&) {
  at_agent(agent, between(1, 40), [this, &agent] { connect(agent); });
}

void World::run_effect(Agent& agent, agent_effect::Install& effect) {
  const InstallRequest request = std::move(effect.request);
  at_agent(agent, between(1, 30), [this, &agent, request] {
    auto outcome = install_release(request, agent.store);
    if (!outcome) ++verdict_.refused;
    note("install", agent.index,
         outcome ? fmt::format("{} v{}", request.ledger.text(), request.version)
                 : outcome.error().message);
    // The transaction is written, not yet synced: a crash in between keeps it whole or not at all.
    at_agent(agent, between(1, 20), [this, &agent, outcome = std::move(outcome)]() mutable {
      agent.store.sync();
      agent.core->on_installed(std::move(outcome), now());
    });
  });
}

void World::run_effect(Agent& agent, agent_effect::Activate& effect) {
  const Goal goal = effect.goal;
  at_agent(agent, chance(20) ? between(100, 3'000) : between(1, 10),
           [this, &agent, goal] { pdp_decides(agent, goal); });
}

void World::pdp_decides(Agent& agent, const Goal& goal) {
  std::optional<Error> refusal;
  for (const auto& [ledger, wanted] : goal) {
    const PublishedRelease* release = registry_.find(ledger, wanted.version);
    if (!release) return violation(agent.index, "the PDP was given a release nobody published");
    if (release->pdp_refuses)
      refusal = Error{ErrorCode::kPdpRejected, ledger.text() + " does not compile", {}};
  }
  if (!refusal) {
    agent.pdp = goal;
    ++verdict_.activations;
  }
  note("pdp", agent.index, refusal ? refusal->message : "active");
  agent.core->on_pdp(goal, refusal, now());
}

void World::run_effect(Agent& agent, agent_effect::PinRoot& effect) {
  NOTP_ASSERT(agent.store.pin_root(effect.pinned.root, effect.pinned.freshness_key_changed),
              "the memory store writes");
}

void World::run_effect(Agent& agent, agent_effect::KeepFreshness& effect) {
  NOTP_ASSERT(agent.store.keep_freshness(effect.keep), "the memory store writes");
}

void World::run_effect(Agent& agent, agent_effect::KeepTime& effect) {
  NOTP_ASSERT(agent.store.keep_time(effect.now_ms), "the memory store writes");
}

void World::run_effect(Agent& agent, agent_effect::Quarantine& effect) {
  NOTP_ASSERT(agent.store.quarantine(effect.ledger, effect.version, effect.error),
              "the memory store writes");
}

void World::run_effect(Agent& agent, agent_effect::Alarm& effect) {
  note("alarm", agent.index, effect.error.message);
}

void World::run_effect(Agent& agent, agent_effect::Changed& effect) {
  note("changed", agent.index,
       fmt::format("{} v{} state {}", effect.ledger.text(), effect.version,
                   static_cast<int>(effect.state)));
}

// --- the network

void World::connect(Agent& agent) {
  if (now_ms_ < agent.partitioned_until_ms) {
    note("unreachable", agent.index);
    return agent.core->on_connect_failed(Error{ErrorCode::kUnavailable, "no route", {}}, now());
  }
  auto link = std::make_unique<Link>();
  link->id = next_link_++;
  link->lags = faulty() && chance(6);
  link->tampers = faulty() && chance(10);
  if (link->lags || link->tampers) ++verdict_.faults;
  link->catalog = std::make_unique<SimCatalog>(registry_, link->lags ? 1 + random_.below(4) : 0);
  link->server = std::make_unique<ServerSession>(
      *link->catalog, rights_, nullptr,
      ServerIntroduction{
          .server = "sim", .trust_domain = std::string(kTrustDomain), .peer = node_identity(agent)},
      now());
  link->client = &agent.core->on_connected(now());
  note("connected", agent.index, link->lags ? "held back" : link->tampers ? "tampering" : "");
  agent.link = std::move(link);
}

// Moves what both ends have to say onto the wire, in random fragments that keep their order.
void World::pump(Agent& agent) {
  if (!agent.link) return;
  serve(agent);
  for (const bool to_server : {true, false}) {
    SessionMachine& from =
        to_server ? static_cast<SessionMachine&>(*agent.link->client) : *agent.link->server;
    for (Bytes out = from.take_output(64 << 10); !out.empty(); out = from.take_output(64 << 10))
      deliver(agent, to_server, std::move(out));
  }
  Link& link = *agent.link;
  if (!link.client->is_closed() && !link.server->is_closed()) return;
  const TimeMs last = std::max(link.to_server_ms, link.to_client_ms);
  at_agent(agent, std::max<TimeMs>(0, last - now_ms_) + 1, [this, &agent, id = link.id] {
    if (agent.link && agent.link->id == id) cut(agent);
  });
}

void World::deliver(Agent& agent, bool to_server, Bytes bytes) {
  TimeMs& arrives = to_server ? agent.link->to_server_ms : agent.link->to_client_ms;
  for (size_t offset = 0; offset < bytes.size();) {
    const size_t piece = chance(3)
                             ? bytes.size() - offset
                             : std::min<size_t>(bytes.size() - offset, 1 + random_.below(900));
    arrives = std::max(arrives, now_ms_ + between(1, faulty() && chance(30) ? 2'000 : 60));
    at_agent(agent, arrives - now_ms_,
             [this, &agent, to_server, id = agent.link->id, part = bytes.substr(offset, piece)] {
               if (!agent.link || agent.link->id != id) return;
               if (to_server) return agent.link->server->receive(part, now());
               agent.link->client->receive(part, now());
               agent.core->on_session_progress(now());
             });
    offset += piece;
  }
}

// The registry's host: answers what its session asks for.
void World::serve(Agent& agent) {
  Link& link = *agent.link;
  for (ServerEvent& event : link.server->take_events()) {
    if (const auto* need = std::get_if<server_event::ArtifactNeeded>(&event)) {
      auto artifact = registry_.artifact(need->ledger, need->base_version, need->version);
      if (artifact && link.tampers) {
        Bytes damaged = **artifact;
        damaged[random_.below(damaged.size())] ^= static_cast<char>(1 + random_.below(255));
        artifact = std::make_shared<const Bytes>(std::move(damaged));
      }
      link.server->artifact_ready(need->ticket, std::move(artifact));
    } else if (const auto* committed = std::get_if<server_event::Committed>(&event)) {
      note("commit", agent.index,
           fmt::format("{} v{} {}", committed->commit.ledger.text(), committed->commit.version,
                       static_cast<int>(committed->commit.state)));
    } else if (const auto* closed = std::get_if<server_event::Closed>(&event)) {
      note("closed", agent.index, closed->error.message);
    }
  }
}

TimeMs World::deadline_of(Agent& agent, size_t timer) const {
  if (timer == kCoreTimer) return agent.core->next_deadline();
  if (!agent.link) return kNever;
  return timer == kClientTimer ? agent.link->client->next_deadline()
                               : agent.link->server->next_deadline();
}

void World::arm_deadlines(Agent& agent) {
  for (size_t timer = 0; timer < agent.armed_ms.size(); ++timer) {
    const TimeMs deadline = deadline_of(agent, timer);
    if (deadline >= agent.armed_ms[timer]) continue;
    agent.armed_ms[timer] = deadline;
    at_agent(agent, std::max<TimeMs>(0, deadline - now_ms_),
             [this, &agent, timer] { fire_deadline(agent, timer); });
  }
}

void World::fire_deadline(Agent& agent, size_t timer) {
  agent.armed_ms[timer] = kNever;
  // A deadline that moved since it was armed is armed anew by settle().
  if (deadline_of(agent, timer) > now_ms_) return;
  if (timer == kCoreTimer) return agent.core->on_deadline(now());
  if (timer == kServerTimer) return agent.link->server->on_deadline(now());
  agent.link->client->on_deadline(now());
  agent.core->on_session_progress(now());
}

// --- what happens to the fleet

void World::publish() {
  const LedgerId ledger = registry_.ledgers()[random_.below(registry_.ledgers().size())];
  const PublishedRelease& release = registry_.publish(ledger, now().wall_ms);
  note("publish", 0,
       fmt::format("{} v{} {}", ledger.text(), release.release.version, release.hash.brief()));
  for (auto& agent : agents_) {
    if (!agent->core || !agent->link) continue;
    agent->link->server->head_changed(ledger);
    settle(*agent);
  }
}

// The faults end: registries that lag or tamper are replaced, the network is whole.
void World::heal() {
  for (auto& agent : agents_) {
    agent->partitioned_until_ms = 0;
    if (!agent->core || !agent->link || !(agent->link->lags || agent->link->tampers)) continue;
    cut(*agent);
    settle(*agent);
  }
}

void World::random_fault() {
  Agent& agent = *agents_[random_.below(agents_.size())];
  switch (random_.below(4)) {
    case 0:
      if (agent.core) crash(agent);
      break;
    case 1:
    case 2:
      if (!agent.core || !agent.link) break;
      ++verdict_.faults;
      cut(agent);
      settle(agent);
      break;
    default:
      note("partition", agent.index);
      ++verdict_.faults;
      agent.partitioned_until_ms = now_ms_ + between(100, 15'000);
      if (agent.core && agent.link) {
        cut(agent);
        settle(agent);
      }
  }
}

// --- invariants

void World::check(Agent& agent) {
  check_floors(agent);
  for (const auto& [ledger, stored] : agent.store.state().ledgers) {
    // 1, 3: every stored release is one that was published, whole, with the signed content root.
    for (const StoredRelease& release : stored.releases) {
      if (!registry_.published(ledger, release.version, release.release))
        violation(agent.index, "a stored release was never published");
      const auto tree = agent.store.tree(ledger, release.version);
      if (!tree || (*tree)->content_root() != release.content_root)
        violation(agent.index, fmt::format("{} v{} is stored with other content than signed",
                                           ledger.text(), release.version));
    }
  }
  if (agent.core) check_active(agent);
}

// 2: floors never go down, neither what is durable nor what is about to be.
void World::check_floors(Agent& agent) {
  for (const auto& [ledger, durable] : agent.store.durable_state().ledgers) {
    Floor& highest = agent.highest_floor[ledger];
    const Floor& current = agent.store.state().ledgers.at(ledger).floor;
    const uint64_t lowest = std::min(durable.floor.version, current.version);
    if (lowest < highest.version)
      violation(agent.index, fmt::format("the floor of {} fell from v{} to v{}", ledger.text(),
                                         highest.version, lowest));
    highest = std::max(highest, durable.floor);
  }
}

void World::check_active(Agent& agent) {
  for (const auto& [ledger, decided] : agent.pdp) {
    const uint64_t version = decided.version;
    const PublishedRelease* release = registry_.find(ledger, version);
    if (!release || release->pdp_refuses) {
      violation(agent.index, fmt::format("active on {} v{}, which is no accepted release",
                                         ledger.text(), version));
      continue;
    }
    // 1: at or above the floor, but for releases above it that the PDP refused or has not seen yet.
    const auto stored = agent.store.state().ledgers.find(ledger);
    if (stored == agent.store.state().ledgers.end() || version > stored->second.floor.version)
      violation(agent.index, fmt::format("active on {} v{}, above what the store has verified",
                                         ledger.text(), version));
  }
}

// 7: every agent is at the newest release that its PDP accepts and that it could have been given.
void World::check_converged() {
  for (auto& agent : agents_) {
    for (const LedgerId& ledger : registry_.ledgers()) {
      const PublishedRelease* head = registry_.head(ledger);
      if (!head) continue;
      const auto active = agent->pdp.find(ledger);
      const uint64_t version = active == agent->pdp.end() ? 0 : active->second.version;
      const auto stored = agent->store.state().ledgers.find(ledger);
      const uint64_t floor =
          stored == agent->store.state().ledgers.end() ? 0 : stored->second.floor.version;
      if (floor != head->release.version)
        violation(agent->index, fmt::format("{} ends with v{} stored, the head is v{}",
                                            ledger.text(), floor, head->release.version));
      if (!head->pdp_refuses && version != head->release.version)
        violation(agent->index, fmt::format("{} ends with v{} active, the head is v{}",
                                            ledger.text(), version, head->release.version));
    }
  }
}

Verdict World::run() {
  for (auto& agent : agents_) at(between(0, 2'000), [this, &agent = *agent] { boot(agent); });
  for (size_t i = 0; i < options_.publishes; ++i) at(between(0, kSafetyMs), [this] { publish(); });
  if (options_.faults)
    for (uint64_t i = 0, n = 5 + random_.below(60); i < n; ++i)
      at(between(1'000, kSafetyMs), [this] { random_fault(); });
  at(kSafetyMs, [this] { heal(); });
  const TimeMs end_ms = now_ms_ + kSafetyMs + kLivenessMs;
  while (!events_.empty() && events_.top().at_ms <= end_ms && verdict_.violations.empty()) {
    Event event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_ms_ = event.at_ms;
    event.action();
    if (++verdict_.events == kEventsMax) violation(0, "the world does not come to rest");
  }
  if (verdict_.violations.empty()) check_converged();
  verdict_.trace_hash = trace_.finish();
  return std::move(verdict_);
}

}  // namespace

Verdict run_world(const WorldOptions& options) { return World(options).run(); }

}  // namespace notp::sim
