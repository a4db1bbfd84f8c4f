// Sessions: bytes between cores and the registry, delayed, fragmented, cut at any time.
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/world_run.hpp"

namespace notp::sim {
namespace {

// No statement sets a clock back here: tests/attack covers who can, and the consequences.
constexpr tls::Validity kNoCertificate{.from_ms = kNever};

constexpr size_t kCoreTimer = 0, kClientTimer = 1, kServerTimer = 2;

}  // namespace

Conduct World::choose_conduct() {
  if (!faulty() || options_.restores || chance(2)) return Conduct::kHonest;
  const auto conduct = static_cast<Conduct>(random().below(12));
  if (conduct == Conduct::kTwinRelease && !theft_.publisher) return Conduct::kLags;
  if (conduct == Conduct::kStolenFreshness && !theft_.freshness_key) return Conduct::kReplays;
  return conduct;
}

void World::connect(Agent& agent) {
  if (now_ms_ < agent.partitioned_until_ms) {
    note("unreachable", agent.index);
    return agent.core->on_connect_failed(Error{ErrorCode::kUnavailable, "no route", {}},
                                         agent::DialFailure::kOther, look(agent));
  }
  auto link = std::make_unique<Link>();
  link->id = next_link_++;
  link->conduct = choose_conduct();
  if (link->conduct != Conduct::kHonest) ++verdict_.faults;
  ++verdict_.sessions[conduct_name(link->conduct)];
  for (const model::LedgerId& ledger : registry_.ledgers()) {
    if (link->conduct == Conduct::kTwinRelease) registry_.make_twin(ledger);
    if (link->conduct == Conduct::kForgedRelease) registry_.make_forgery(ledger);
  }
  SimCatalog::Lag lag;
  if (link->conduct == Conduct::kLags) lag = {1 + random().below(4), random().below(3)};
  link->catalog = std::make_unique<SimCatalog>(registry_, link->conduct, lag);
  link->freshness = std::make_unique<SimFreshness>(registry_, *link->catalog, link->conduct, theft_,
                                                   recordings_, random());
  if (link->conduct != Conduct::kHonest)
    link->classes = std::make_unique<serve::ClassTable>(*link->catalog, *link->freshness);
  link->server = std::make_unique<session::ServerSession>(
      session::ServerPorts{.catalog = *link->catalog,
                           .targets = *link->catalog,
                           .rights = rights_,
                           .freshness = link->freshness.get(),
                           .classes = link->classes ? link->classes.get() : &classes_},
      session::ServerInfo{
          .server = "sim", .trust_domain = std::string(kTrustDomain), .peer = node_id(agent.index)},
      registry_now());
  link->client = &agent.core->on_connected(look(agent), kNoCertificate,
                                           logs_.connecting(agent.index, link->id));
  logs_.connected(agent.index, *link->client);
  note("connected", agent.index, std::string(conduct_name(link->conduct)));
  agent.link = std::move(link);
}

void World::cut(Agent& agent) {
  if (!agent.link) return;
  note("cut", agent.index);
  const Now now = look(agent);
  logs_.disconnected(agent.index);
  agent.link->client->on_cut(now);
  agent.core->on_session_progress(now);
  agent.core->on_disconnected(std::nullopt, now);
  agent.link.reset();
  recovery_.ended(agent.index);
}

// Moves the output of both ends onto the wire, in random fragments that keep their order.
void World::pump(Agent& agent) {
  if (!agent.link) return;
  serve(agent);
  for (const bool to_server : {true, false}) {
    session::SessionMachine& from = to_server
                                        ? static_cast<session::SessionMachine&>(*agent.link->client)
                                        : *agent.link->server;
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
                             : std::min<size_t>(bytes.size() - offset, 1 + random().below(900));
    arrives = std::max(arrives, now_ms_ + between(1, faulty() && chance(30) ? 2'000 : 60));
    at_agent(agent, arrives - now_ms_,
             [this, &agent, to_server, id = agent.link->id, part = bytes.substr(offset, piece)] {
               if (!agent.link || agent.link->id != id) return;
               if (to_server) return agent.link->server->receive(part, registry_now());
               const Now now = look(agent);
               agent.link->client->receive(part, now);
               agent.core->on_session_progress(now);
             });
    offset += piece;
  }
}

// The registry's host: answers the requests of its session.
void World::serve(Agent& agent) {
  for (session::ServerEvent& event : agent.link->server->take_events()) {
    if (options_.restores) tell_recovery(agent, event);
    if (const auto* need = std::get_if<session::server_event::ArtifactNeeded>(&event)) {
      give_artifact(*agent.link, *need);
    } else if (const auto* committed = std::get_if<session::server_event::Committed>(&event)) {
      note("commit", agent.index,
           fmt::format("{} v{} {} {}", committed->commit.ledger.text(), committed->commit.version,
                       static_cast<int>(committed->commit.state),
                       trust::freshness_state_name(committed->commit.freshness.value())));
      if (gate_.reported(agent.index, committed->commit))
        (void)agent.link->server->release_held(
            {committed->commit.ledger, committed->commit.version});
    } else if (const auto* attested = std::get_if<session::server_event::Attested>(&event)) {
      ++verdict_.statements_signed;
      note("vouched", agent.index, fmt::format("{}", attested->freshness->sequence));
      if (agent.link->conduct == Conduct::kHonest) check_attested(agent, *attested->freshness);
    } else if (auto* offered = std::get_if<session::server_event::LogOffered>(&event)) {
      logs_.on_event(agent.index, *offered);
    } else if (auto* announced = std::get_if<session::server_event::LogAnnounced>(&event)) {
      logs_.on_event(agent.index, *announced);
    } else if (auto* arrived = std::get_if<session::server_event::SegmentArrived>(&event)) {
      logs_.on_event(agent.index, *arrived);
    } else if (const auto* witness = std::get_if<session::server_event::WitnessArrived>(&event)) {
      logs_.on_event(agent.index, *witness);
    } else if (const auto* closed = std::get_if<session::server_event::Closed>(&event)) {
      note("closed", agent.index, closed->error.message);
      if (agent.link->conduct == Conduct::kHonest) check_closed(agent, closed->error);
    }
  }
}

void World::give_artifact(Link& link, const session::server_event::ArtifactNeeded& need) {
  const PublishedRelease* target = link.catalog->find(need.ledger, need.version);
  const PublishedRelease* base = link.catalog->find(need.ledger, need.base_version);
  auto artifact = registry_.artifact(need, base, *target);
  if (artifact && !*artifact) return link.server->inventory_unclear(need.ticket);
  if (!artifact) return link.server->artifact_ready(need.ticket, std::unexpected(artifact.error()));
  if ((*artifact)->partial) ++verdict_.parts;
  if (link.conduct == Conduct::kTampers) {
    Bytes damaged = *(*artifact)->bytes;
    damaged[random().below(damaged.size())] ^= static_cast<char>(1 + random().below(255));
    (*artifact)->bytes = std::make_shared<const Bytes>(std::move(damaged));
    (*artifact)->frames = nullptr;  // which other sessions share
  }
  link.server->artifact_ready(need.ticket, std::move(**artifact));
}

// --- deadlines

// In the world's time.
TimeMs World::deadline_of(Agent& agent, size_t timer) const {
  const auto in_world = [&](TimeMs boot_ms) {
    return boot_ms == kNever ? kNever : boot_ms + agent.boot_origin_ms;
  };
  if (timer == kCoreTimer) return in_world(agent.core->next_deadline());
  if (!agent.link) return kNever;
  return timer == kClientTimer ? in_world(agent.link->client->next_deadline())
                               : agent.link->server->next_deadline();
}

void World::arm_deadlines(Agent& agent) {
  for (size_t timer = 0; timer < agent.armed_ms.size(); ++timer) {
    const TimeMs deadline = deadline_of(agent, timer);
    if (deadline >= agent.armed_ms[timer]) continue;
    agent.armed_ms[timer] = deadline;
    at_agent(agent, std::max<TimeMs>(0, deadline - now_ms_), [this, &agent, timer, deadline] {
      // A timer due earlier may have replaced it.
      if (agent.armed_ms[timer] == deadline) fire_deadline(agent, timer);
    });
  }
}

void World::fire_deadline(Agent& agent, size_t timer) {
  agent.armed_ms[timer] = kNever;
  // settle() rearms a deadline that has moved.
  if (deadline_of(agent, timer) > now_ms_) return;
  if (timer == kServerTimer) return agent.link->server->on_deadline(registry_now());
  const Now now = look(agent);
  if (timer == kCoreTimer) return agent.core->on_deadline(now);
  agent.link->client->on_deadline(now);
  agent.core->on_session_progress(now);
}

}  // namespace notp::sim
