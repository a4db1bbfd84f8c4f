#include "tests/sim/world_logs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/limits.hpp"
#include "tests/sim/sim_trust.hpp"

namespace notp::sim {
namespace {

constexpr uint64_t kNodesWithLog = 2, kNodesOfThem = 5;
constexpr TimeMs kSecondMs = 1'000;
constexpr TimeMs kDiskMsMax = 10;  // of a sync or a commit
constexpr int64_t kNsPerMs = 1'000'000;

record::DecisionContent content(uint64_t id, int64_t now_ns) {
  record::DecisionContent out;
  out.eval_time_ns = now_ns;
  out.path = "gateway/allow";
  out.ledger = "100000000001/gateway";
  out.outcome = record::Outcome::kAllow;
  out.result = "true";
  out.req_id = id;
  return out;
}

record::Position end_of(const LogDisk& disk) {
  const record::Position sealed = disk.table.tree.size();
  return disk.ring.records.empty() ? sealed
                                   : std::max(sealed, disk.ring.records.back().position + 1);
}

}  // namespace

LogWorld::LogWorld(WorldPort& world, const WorldOptions& options)
    : world_(world),
      is_outage_(options.outage_ms > 0),
      is_attack_(options.tree_attack != TreeAttack::kNone),
      sites_(options.agents) {
  intake_.tree().set_kept([this](size_t node) { return kept_checkpoint(node); });
  for (size_t node = 0; node < sites_.size(); ++node) {
    if (!is_outage_ && !is_attack_ && world_.random().below(kNodesOfThem) >= kNodesWithLog)
      continue;
    sites_[node] = std::make_unique<Site>();
    SimLogTerms& terms = sites_[node]->terms;
    terms.node = node;
    terms.kept_ms = world_.between(5 * kSecondMs, 60 * kSecondMs);
    if (is_outage_ || is_attack_ || !world_.chance(3)) continue;
    terms.unacknowledged_max = 2 + world_.random().below(3);
    terms.drops_oldest = world_.chance(2);
  }
}

// --- stories

void LogWorld::begin(TimeMs until_ms) {
  for (size_t node = 0; node < sites_.size(); ++node) {
    if (!keeps_log(node)) continue;
    const uint64_t times = is_outage_ ? 40 : is_attack_ ? 12 : 2 + world_.random().below(4);
    for (uint64_t i = 0; i < times; ++i)
      world_.at(world_.between(3 * kSecondMs, until_ms), [this, node] { decide(node); });
  }
}

void LogWorld::begin_faults(TimeMs until_ms) {
  const auto when_ms = [&] { return world_.between(5 * kSecondMs, until_ms); };
  for (size_t node = 0; node < sites_.size(); ++node) {
    if (!keeps_log(node) || !world_.chance(4)) continue;
    const auto fault = static_cast<DiskFault>(world_.random().below(3));
    const TimeMs first_ms = when_ms(), second_ms = when_ms();
    if (fault == DiskFault::kRestored)
      world_.at(std::min(first_ms, second_ms), [this, node] { back_up(node); });
    world_.at(std::max(first_ms, second_ms), [this, node, fault] { break_disk(node, fault); });
  }
  for (uint64_t i = 0, times = world_.random().below(3); i < times; ++i)
    world_.at(when_ms(), [this] {
      if (world_.chance(3)) return restart_registry();
      intake_.crash_within_commit([this] { restart_registry(); });
    });
  if (!world_.chance(4)) return;
  const TimeMs first_ms = when_ms(), second_ms = when_ms();
  world_.at(std::min(first_ms, second_ms), [this] { intake_.take_backup(); });
  world_.at(std::max(first_ms, second_ms), [this] {
    if (!intake_.restore()) return;
    world_.note("registry restored", 0);
    cut_sessions();
  });
}

void LogWorld::restart_registry() {
  world_.note("registry crash", 0);
  intake_.crash();
  cut_sessions();
}

void LogWorld::cut_sessions() {
  for (size_t node = 0; node < sites_.size(); ++node)
    if (keeps_log(node) && sites_[node]->shipping.session) world_.cut_node(node);
}

bool LogWorld::crash_soon(size_t node) {
  if (!keeps_log(node) || !sites_[node]->log || !world_.is_running(node)) return false;
  switch (world_.random().below(4)) {
    case 0:
      decide(node);
      world_.crash_node(node);
      return true;
    case 1:
      decide(node);
      world_.at(world_.between(1, limits::kRingSyncMs + kDiskMsMax),
                [this, node] { world_.crash_node(node); });
      return true;
    case 2:
      sites_[node]->crashes_at_seal = true;
      return true;
    default:
      return false;
  }
}

void LogWorld::back_up(size_t node) {
  if (sites_[node]->log) sites_[node]->backup = sites_[node]->log->backup();
}

void LogWorld::break_disk(size_t node, DiskFault fault) {
  Site& site = *sites_[node];
  if (!site.log) return;
  if (fault == DiskFault::kRestored &&
      (!site.backup || site.backup->table.key.log != site.log->table().key.log))
    return;
  world_.crash_node(node);
  site.fault = fault;
}

void LogWorld::heal() {
  for (const auto& site : sites_)
    if (site) site->crashes_at_seal = false;
  intake_.crash_within_commit({});
  for (const TimeMs when_ms : {20, 40, 60})
    world_.at(when_ms * kSecondMs, [this] { look_after_logs(); });
}

// As the alarms say: the spool is put aside, so that a new log begins; a tree is accepted.
void LogWorld::look_after_logs() {
  for (size_t node = 0; node < sites_.size(); ++node) {
    if (!keeps_log(node) || !world_.is_running(node)) continue;
    const bool refuses = !world_.tree_refused(node).empty();
    const std::string why = world_.log_refused(node);
    if (!refuses && why.empty()) continue;
    if (!why.empty()) oracle_.check_refusal(sites_[node]->log->table().key.log, why);
    world_.restart_node(node);
    sites_[node]->accepts_tree = refuses;
    if (!why.empty()) sites_[node]->fault = DiskFault::kDeleted;
  }
}

// --- processes

int64_t LogWorld::wall_ns(size_t node) const { return world_.wall_ms(node) * kNsPerMs; }

void LogWorld::begin_log(size_t node, std::optional<record::LogId> previous, std::string reason) {
  Site& site = *sites_[node];
  site.log = std::make_unique<SimLog>(site.terms, log_key(node, site.logs++), world_.wall_ms(node),
                                      previous, std::move(reason));
  oracle_.log_begins(node, site.log->table(), site.terms.drops_oldest);
  world_.note("log", node, site.log->table().key.log.hex());
  site.log->on_sealed([this, node] {
    oracle_.sealed(sites_[node]->log->sealed());
    ship(node);
  });
}

void LogWorld::find_fault(size_t node) {
  Site& site = *sites_[node];
  const auto fault = std::exchange(site.fault, {});
  if (!fault) return;
  const record::LogId log = site.log->table().key.log;
  world_.note("log fault", node, fmt::format("{}", static_cast<int>(*fault)));
  if (*fault == DiskFault::kRestored) {
    oracle_.log_restored(log, end_of(*site.backup));
    return site.log->restore(*site.backup);
  }
  oracle_.log_destroyed(log, intake_.store().durable_size(log));
  if (*fault == DiskFault::kDeleted) return begin_log(node, {}, {});
  begin_log(node, log, "spool.db is damaged");
}

void LogWorld::booted(size_t node) {
  if (!keeps_log(node)) return;
  Site& site = *sites_[node];
  if (site.log)
    find_fault(node);
  else
    begin_log(node, {}, {});
  if (std::exchange(site.accepts_tree, false)) {
    site.log->accept_tree();
    site.evidence.reset();
  }
  site.log->open(fmt::format("boot {}", site.machine_starts), world_.time_ms(), wall_ns(node));
  oracle_.sealed(site.log->sealed());
  site.shipping.shipper = {};
  site.seal_armed_ms = kNever;
  site.is_sync_armed = false;
  site.shipping.is_loading = false;
  site.active.reset();
  sync_soon(node, limits::kRingSyncMs);
  seal_in_time(node);
}

void LogWorld::crashed(size_t node, bool is_machine) {
  if (!keeps_log(node)) return;
  Site& site = *sites_[node];
  disconnected(node);
  site.log->crash(is_machine, world_.random());
  if (is_machine) ++site.machine_starts;
}

void LogWorld::stopped(size_t node) {
  if (!keeps_log(node)) return;
  Site& site = *sites_[node];
  site.log->close(world_.time_ms(), wall_ns(node), world_.random());
  oracle_.durable(site.log->table().key.log, site.log->run(), site.log->next());
  disconnected(node);
}

// --- decisions

void LogWorld::decide(size_t node) {
  Site& site = *sites_[node];
  auto active = world_.active_set(node);
  if (!site.log || !active || site.log->is_full()) return;
  if (!site.active || *site.active != *active)
    site.active = std::make_shared<const record::ActiveSet>(*std::move(active));
  const bool is_strict = !site.terms.drops_oldest && world_.chance(3);
  const uint64_t times = world_.chance(8) ? kSimSegmentRecords + 2 : 1 + world_.random().below(4);
  for (uint64_t i = 0; i < times; ++i) {
    const record::Position position = site.log->append(
        content(oracle_.next_id(), wall_ns(node)), site.active, world_.time_ms(), wall_ns(node));
    oracle_.written(node, *site.log, position, is_strict, site.active);
  }
  world_.note("decided", node,
              fmt::format("{}{} to {}", times, is_strict ? " strictly" : "", site.log->next()));
  sync_soon(node, is_strict ? 0 : limits::kRingSyncMs);
  seal_in_time(node);
}

void LogWorld::sync_soon(size_t node, TimeMs delay_ms) {
  Site& site = *sites_[node];
  // A later one is overtaken: its sync then finds nothing to do.
  if (delay_ms > 0 && std::exchange(site.is_sync_armed, true)) return;
  world_.at_node(node, delay_ms, [this, node] {
    Site& at = *sites_[node];
    at.is_sync_armed = false;
    if (!at.log->is_sync_due()) return;
    at.log->begin_sync();
    world_.at_node(node, world_.between(1, kDiskMsMax), [this, node] {
      SimLog& log = *sites_[node]->log;
      oracle_.durable(log.table().key.log, log.run(), log.finish_sync());
      if (log.is_sync_due()) sync_soon(node, 1);
    });
  });
}

void LogWorld::seal_in_time(size_t node) {
  Site& site = *sites_[node];
  const TimeMs deadline_ms = site.log->seal_deadline_ms();
  if (deadline_ms >= site.seal_armed_ms) return;
  site.seal_armed_ms = deadline_ms;
  world_.at_node(node, std::max<TimeMs>(0, deadline_ms - world_.time_ms()),
                 [this, node, deadline_ms] {
                   if (sites_[node]->seal_armed_ms != deadline_ms) return;
                   sites_[node]->seal_armed_ms = kNever;
                   seal(node);
                 });
}

void LogWorld::seal(size_t node) {
  Site& site = *sites_[node];
  if (site.log->seal_deadline_ms() > world_.time_ms()) return seal_in_time(node);
  site.log->begin_seal(world_.time_ms(), world_.random());
  if (std::exchange(site.crashes_at_seal, false))
    world_.at(world_.between(0, kDiskMsMax), [this, node] { world_.crash_node(node); });
  world_.at_node(node, world_.between(1, kDiskMsMax), [this, node] {
    sites_[node]->log->finish_seal(world_.time_ms());
    seal_in_time(node);
  });
}

// --- shipping

std::optional<wire::LogOffer> LogWorld::connecting(size_t node, uint64_t link) {
  if (!keeps_log(node)) return std::nullopt;
  Shipping& shipping = sites_[node]->shipping;
  shipping.peer = {node, link, LogConduct::kHonest};
  if (world_.faulty() && world_.chance(3))
    shipping.peer.conduct = static_cast<LogConduct>(world_.random().below(kLogConducts));
  else if (world_.chance(6))
    shipping.peer.conduct = LogConduct::kNarrow;
  ++sessions_[log_conduct_name(shipping.peer.conduct)];
  auto offer = shipping.shipper.session_begins(sites_[node]->log->sealed());
  if (offer) std::tie(offer->tree, offer->tree_size) = sites_[node]->log->offered_tree();
  return offer;
}

void LogWorld::connected(size_t node, session::ClientSession& session) {
  if (!keeps_log(node)) return;
  sites_[node]->shipping.session = &session;
  ++sites_[node]->shipping.number;
}

void LogWorld::disconnected(size_t node) {
  if (!keeps_log(node)) return;
  Shipping& shipping = sites_[node]->shipping;
  if (!std::exchange(shipping.session, nullptr)) return;
  shipping.shipper.session_ended();
  sites_[node]->log->connected(false);
  intake_.session_ended(shipping.peer.link);
}

bool LogWorld::is_lied_to(size_t node) const {
  return keeps_log(node) && sites_[node]->shipping.session &&
         sites_[node]->shipping.peer.conduct > LogConduct::kNarrow;
}

Result<void> LogWorld::granted(size_t node, const wire::LogGrant& grant) {
  Site& site = *sites_[node];
  spool::Shipper& shipper = site.shipping.shipper;
  const auto accepted = shipper.granted(grant, site.log->sealed());
  if (shipper.is_granted()) site.log->acknowledged(shipper.acknowledged());
  site.log->remove_acknowledged(world_.time_ms());
  site.log->connected(accepted && shipper.is_granted());
  seal_in_time(node);
  ship(node);
  return accepted;
}

void LogWorld::ship(size_t node) {
  Shipping& shipping = sites_[node]->shipping;
  while (shipping.session && !shipping.session->is_closed() && !shipping.is_loading) {
    const spool::SealedLog log = sites_[node]->log->sealed();
    const auto step = shipping.shipper.next(log);
    if (!step) return;
    if (step->kind == spool::ShipStep::Kind::kAnnounce) {
      shipping.session->announce_log(log.announcement);
      continue;
    }
    shipping.is_loading = true;
    world_.at_node(node, world_.between(0, 5),
                   [this, node, first = step->first, number = shipping.number] {
                     Shipping& at = sites_[node]->shipping;
                     at.is_loading = false;
                     // A load for an earlier session is no step of this one.
                     if (at.session && number == at.number) send(node, first);
                     ship(node);
                   });
  }
}

void LogWorld::send(size_t node, record::Position first) {
  Shipping& shipping = sites_[node]->shipping;
  auto segment = sites_[node]->log->segment(first);
  if (!segment) {
    shipping.shipper.failed();
    return world_.refuse_log(node, segment.error());
  }
  const record::Position end = segment->head.end();
  const uint64_t bytes = segment->body.size() + limits::kSegmentOverheadBytes;
  shipping.session->send_segment(*std::move(segment));
  shipping.shipper.sent(end, bytes);
}

void LogWorld::on_event(size_t node, const session::server_event::LogOffered& event) {
  intake_.offered(sites_[node]->shipping.peer, event.offer);
}

void LogWorld::on_event(size_t node, session::server_event::LogAnnounced& event) {
  intake_.announced(sites_[node]->shipping.peer, event.log, std::move(event.announcement));
}

void LogWorld::on_event(size_t node, session::server_event::SegmentArrived& event) {
  intake_.arrived(sites_[node]->shipping.peer, {.head = std::move(event.segment.head),
                                                .body = std::move(event.body),
                                                .subtrees = std::move(event.segment.subtrees)});
}

// --- receipts

void LogWorld::on_event(size_t node, const session::server_event::WitnessArrived& event) {
  const uint64_t kept = sites_[node]->log->kept_tree_size();
  if (event.witness.code == 0 && kept < event.witness.tree_size)
    world_.violation(node, fmt::format("it has cosigned a tree of {} entries, and its disk has the "
                                       "one of {}",
                                       event.witness.tree_size, kept));
  intake_.witnessed(sites_[node]->shipping.peer, event.witness);
}

std::optional<record::Checkpoint> LogWorld::kept_checkpoint(size_t node) const {
  if (!keeps_log(node) || !sites_[node]->log) return std::nullopt;
  const spool::TreeState& kept = sites_[node]->log->table().registry_tree;
  const auto checkpoint = record::parse_checkpoint(kept.checkpoint);
  if (!checkpoint || kept.accepted) return std::nullopt;
  return *checkpoint;
}

void LogWorld::on_receipt(size_t node, const wire::LogReceipt& receipt) {
  verify_receipt_later(node, receipt, world_.between(1, kDiskMsMax));
}

void LogWorld::verify_receipt_later(size_t node, const wire::LogReceipt& receipt, TimeMs delay_ms) {
  world_.at_node(node, delay_ms, [this, node, receipt, number = sites_[node]->shipping.number] {
    const Shipping& at = sites_[node]->shipping;
    if (at.session && number == at.number) verify_receipt(node, receipt);
  });
}

void LogWorld::verify_receipt(size_t node, const wire::LogReceipt& receipt) {
  Site& site = *sites_[node];
  site.log->set_keeps_receipts(!(world_.faulty() || is_attack_) || !world_.chance(6));
  const auto answer =
      site.log->witness(receipt, {registry_id(), std::string(kTrustDomain)}, world_.wall_ms(node));
  world_.note("receipt", node, answer ? answer->message : answer.error().message);
  if (answer && !site.shipping.session->is_closed()) site.shipping.session->witness(*answer);
  if (!answer) verify_receipt_later(node, receipt, kSecondMs);
  const spool::TreeState tree = site.log->tree();
  const record::LogId& log = site.log->table().key.log;
  // One that the disk has not taken is forgotten with the process.
  if (site.log->table().registry_tree.refusal && !site.evidence)
    site.evidence = {log, std::max(tree.log == log ? tree.size : 0, site.log->sealed().first)};
  world_.tell_tree(node);
}

agent::TreeWitness LogWorld::tree_witness(size_t node) const {
  const SimLog& log = *sites_[node]->log;
  const spool::TreeState tree = log.tree();
  const Shipping& shipping = sites_[node]->shipping;
  return {.is_granted = shipping.session && shipping.shipper.is_granted(),
          .is_known = !tree.announcement.empty(),
          .acknowledged = log.table().acknowledged,
          .witnessed = tree.log == log.table().key.log ? tree.size : 0,
          .refused = tree.refusal ? tree.refusal->message : std::string()};
}

// --- the end

void LogWorld::check_receipts(size_t node) {
  const agent::TreeWitness now = tree_witness(node);
  if (!now.refused.empty())
    world_.violation(node, "it still refuses the registry's tree: " + now.refused);
  else if (now.witnessed != now.acknowledged)
    world_.violation(node, fmt::format("{} of its {} acknowledged records have a receipt",
                                       now.witnessed, now.acknowledged));
  else if (!world_.receipts_overdue(node).empty())
    world_.violation(node, world_.receipts_overdue(node));
}

void LogWorld::check_arrived() {
  for (size_t node = 0; node < sites_.size(); ++node) {
    if (!keeps_log(node)) continue;
    oracle_.check_arrived(*sites_[node]->log, node, intake_.store());
    if (attack_ == TreeAttack::kNone || attack_ == TreeAttack::kControl) check_receipts(node);
  }
  oracle_.check(intake_.store().image());
}

void LogWorld::count(Verdict& verdict) const {
  verdict.decisions = oracle_.answered();
  verdict.decisions_lost = oracle_.lost();
  verdict.records = oracle_.records();
  verdict.segments = intake_.commits();
  verdict.receipts = intake_.tree().receipts();
  verdict.cosignatures = intake_.tree().cosignatures();
  verdict.trees_refused = intake_.tree().refusals();
  verdict.log_gaps = oracle_.gaps();
  verdict.log_sessions = sessions_;
  for (const auto& site : sites_)
    if (site) verdict.logs += site->logs;
}

}  // namespace notp::sim
