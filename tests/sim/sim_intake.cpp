#include "tests/sim/sim_intake.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/assert.hpp"
#include "common/limits.hpp"

namespace notp::sim {
namespace {

constexpr size_t kPlaces = 3;  // of nodes that catch up: others wait
constexpr TimeMs kPlacesLookMs = 1'000;
constexpr TimeMs kCommitMsMax = 25;

record::LogId log_of(const wire::LogOffer& offer) { return offer.log; }
record::LogId log_of(const record::Segment& segment) { return segment.head.log; }
record::LogId log_of(const auto& announced) { return announced.log; }

}  // namespace

std::string_view log_conduct_name(LogConduct conduct) {
  constexpr std::string_view kNames[kLogConducts] = {"honest",     "narrow",       "turns_away",
                                                     "refuses",    "silent",       "swallows",
                                                     "asks_again", "acks_too_much"};
  return kNames[static_cast<size_t>(conduct)];
}

SimIntake::Process::Process(MemoryAuditStore& store) : ingest(store, counters), catch_up(kPlaces) {
  NOTP_ASSERT(ingest.load(), "the memory store reads");
}

SimIntake::SimIntake(WorldPort& world, LogOracle& oracle)
    : world_(world), oracle_(oracle), tree_(world) {
  process_.emplace(store_);
}

void SimIntake::offered(const LogPeer& peer, const wire::LogOffer& offer) {
  offers_[peer.link] = offer;
  add({peer, offer});
}

void SimIntake::witnessed(const LogPeer& peer, const wire::LogWitness& witness) {
  const auto log = store_.image().logs.find(witness.log);
  std::optional<PublicKey> key;
  if (log != store_.image().logs.end() && !log->second.state.announcement.empty())
    key = log->second.state.log_key;
  tree_.witnessed(peer.node, peer.link, witness, key, oracle_.is_restored(witness.log));
}

void SimIntake::announced(const LogPeer& peer, const record::LogId& log, Bytes announcement) {
  add({peer, Announced{log, std::move(announcement)}});
}
void SimIntake::arrived(const LogPeer& peer, record::Segment segment) {
  add({peer, std::move(segment)});
}

void SimIntake::add(Job job) {
  if (job.peer.conduct >= LogConduct::kRefuses) return lie(job);
  Session& session = sessions_[job.peer.link];
  session.waiting.push_back(std::move(job));
  hand_over(session);
  work();
}

void SimIntake::hand_over(Session& session) {
  if (session.is_busy || session.waiting.empty()) return;
  session.is_busy = true;
  Job job = std::move(session.waiting.front());
  session.waiting.pop_front();
  const bool is_segment = std::holds_alternative<record::Segment>(job.what);
  (is_segment ? process_->segments : process_->urgent).push_back(std::move(job));
}

// --- the writer

void SimIntake::work() {
  if (std::exchange(process_->is_working, true)) return;
  while (!process_->is_committing && !(process_->urgent.empty() && process_->segments.empty())) {
    for (auto urgent = std::exchange(process_->urgent, {}); const Job& job : urgent) handle(job);
    decide_segments();
  }
  process_->is_working = false;
}

void SimIntake::handle(const Job& job) {
  const TimeMs now_ms = world_.time_ms();
  const std::string node = node_id(job.peer.node);
  if (const auto* offer = std::get_if<wire::LogOffer>(&job.what))
    return answer_when_placed(job.peer, *offer, process_->ingest.offered(node, *offer, now_ms));
  const auto& announced = std::get<Announced>(job.what);
  auto grant = process_->ingest.announced(node, announced.log, announced.announcement, now_ms);
  NOTP_ASSERT(grant, "the memory store writes");
  answer(job.peer, *std::move(grant));
}

void SimIntake::decide_segments() {
  std::vector<audit::StoredSegment> round;
  for (auto& jobs = process_->segments; !jobs.empty();) {
    const auto& segment = std::get<record::Segment>(jobs.front().what);
    // What it is compared with may be in this round.
    if (process_->ingest.has_come(segment) && !round.empty()) break;
    Job job = std::move(jobs.front());
    jobs.pop_front();
    if (job.peer.conduct == LogConduct::kTurnsAway) {
      process_->answers.push_back({job.peer, process_->ingest.turn_away(log_of(segment))});
      continue;
    }
    auto decision = process_->ingest.arrived(
        node_id(job.peer.node), std::get<record::Segment>(std::move(job.what)), world_.time_ms());
    if (decision.store) round.push_back(*std::move(decision.store));
    if (decision.grant.code != 0) process_->catch_up.drop(decision.grant.log);
    process_->answers.push_back({job.peer, std::move(decision.grant)});
  }
  if (!round.empty()) return commit(round);
  for (Answer& each : std::exchange(process_->answers, {}))
    answer(each.peer, std::move(each.grant));
  grant_places();
}

void SimIntake::commit(const std::vector<audit::StoredSegment>& round) {
  process_->is_committing = true;
  NOTP_ASSERT(store_.append(round), "the memory store writes");
  if (crash_within_commit_)
    world_.at(world_.between(0, kCommitMsMax), std::exchange(crash_within_commit_, {}));
  world_.at(world_.between(1, kCommitMsMax), [this, round, life = life_] {
    if (life == life_) committed(round);
  });
}

void SimIntake::committed(const std::vector<audit::StoredSegment>& round) {
  std::map<record::LogId, record::Position> sizes;
  for (const audit::StoredSegment& each : round)
    sizes.try_emplace(each.segment.head.log, store_.durable_size(each.segment.head.log));
  store_.sync();
  for (const audit::StoredSegment& each : round) {
    const record::SegmentHead& head = each.segment.head;
    ++commits_;
    oracle_.stored(each, std::exchange(sizes[head.log], head.end()));
    tree_.stored(each);
    process_->catch_up.progress(head.log, head.end(), world_.time_ms());
  }
  process_->is_committing = false;
  for (Answer& each : std::exchange(process_->answers, {}))
    answer(each.peer, std::move(each.grant));
  grant_places();
  work();
}

void SimIntake::answer(const LogPeer& peer, wire::LogGrant grant) {
  if (grant.next > store_.durable_size(grant.log))
    world_.violation(peer.node, fmt::format("the registry acknowledges {} records, and {} are "
                                            "durable",
                                            grant.next, store_.durable_size(grant.log)));
  record::Position& acknowledged = acknowledged_[grant.log];
  acknowledged = std::max(acknowledged, grant.next);
  if (peer.conduct == LogConduct::kNarrow)
    grant.window_bytes = std::min<uint64_t>(grant.window_bytes, 1);
  world_.note("log granted", peer.node,
              fmt::format("{} {}", grant.next, grant.code == 0 ? "" : grant.message));
  world_.send_grant(peer.node, peer.link, grant);
  const auto offer = offers_.find(peer.link);
  if (offer != offers_.end() && grant.code == 0) {
    tree_.granted(peer.node, peer.link, offer->second);
    offers_.erase(offer);
  }
  const auto session = sessions_.find(peer.link);
  if (session == sessions_.end()) return;
  session->second.is_busy = false;
  if (grant.code != 0) session->second.waiting.clear();
  hand_over(session->second);
}

// --- nodes that catch up

void SimIntake::answer_when_placed(const LogPeer& peer, const wire::LogOffer& offer,
                                   wire::LogGrant grant) {
  const bool is_incomplete = grant.code == 0 && offer.size > grant.next;
  if (!is_incomplete || (process_->without_place.empty() &&
                         process_->catch_up.admit(offer.log, offer.size, world_.time_ms())))
    return answer(peer, std::move(grant));
  process_->without_place.emplace_back(peer, offer);
  look_at_places();
}

void SimIntake::grant_places() {
  auto& waiting = process_->without_place;
  process_->catch_up.expire(world_.time_ms());
  while (!waiting.empty() && process_->catch_up.free() > 0) {
    const auto [peer, offer] = waiting.front();
    waiting.pop_front();
    process_->catch_up.admit(offer.log, offer.size, world_.time_ms());
    answer(peer, process_->ingest.regranted(offer.log));
  }
}

void SimIntake::look_at_places() {
  if (std::exchange(process_->is_looking, true)) return;
  world_.at(kPlacesLookMs, [this, life = life_] {
    if (life != life_) return;
    process_->is_looking = false;
    // Between commits, as all that the writer does.
    if (!process_->is_committing) grant_places();
    work();
    if (!process_->without_place.empty()) look_at_places();
  });
}

// --- faults

void SimIntake::crash() {
  store_.crash(world_.random());
  start();
  for (const auto& [log, next] : acknowledged_)
    if (process_->ingest.next_of(log) < next)
      world_.violation(0, fmt::format("a crash of the registry takes back {} of {} acknowledged "
                                      "records of log {}",
                                      next - process_->ingest.next_of(log), next, log.hex()));
}

bool SimIntake::restore(bool is_honest) {
  if (!backup_) return false;
  store_.restore(backup_->store);
  oracle_.registry_restored(store_);
  acknowledged_.clear();
  start();
  if (is_honest)
    tree_.begin_another(store_);
  else
    tree_.go_back(backup_->tree, store_);
  return true;
}

void SimIntake::start() {
  ++life_;
  sessions_.clear();
  offers_.clear();
  tree_.start(store_);
  crash_within_commit_ = {};
  process_.emplace(store_);
}

// --- lies

void SimIntake::lie(const Job& job) {
  const LogConduct conduct = job.peer.conduct;
  wire::LogGrant grant;
  grant.log = std::visit([](const auto& what) { return log_of(what); }, job.what);
  grant.window_bytes = limits::kLogWindowBytes;
  grant.next = process_->ingest.next_of(grant.log);
  const auto* offer = std::get_if<wire::LogOffer>(&job.what);
  const auto* segment = std::get_if<record::Segment>(&job.what);
  if (conduct != LogConduct::kRefuses && conduct != LogConduct::kSilent)
    oracle_.registry_misled(grant.log);
  if (conduct == LogConduct::kRefuses) {
    grant.code = static_cast<uint32_t>(ErrorCode::kDenied);
    grant.message = "no logs are taken";
  } else if (offer != nullptr) {
    grant.announce = world_.chance(2);
    if (conduct == LogConduct::kAsksAgain) grant.next = 0;
    if (conduct == LogConduct::kAcksTooMuch)
      grant.next = world_.random().below(2 * offer->size + 2);
  } else if (segment != nullptr) {
    if (conduct == LogConduct::kSilent) return;
    grant.next = segment->head.end();
    if (conduct == LogConduct::kAcksTooMuch) grant.next += 1 + world_.random().below(40);
  } else {
    return;
  }
  world_.note("log lie", job.peer.node, fmt::format("{}", grant.next));
  world_.send_grant(job.peer.node, job.peer.link, grant);
}

}  // namespace notp::sim
