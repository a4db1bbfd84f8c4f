#include "common/rego/host/engine_core.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"

namespace notp::rego {
namespace {

// Returns "a/b/c"; a slash inside a segment is not a separator.
std::string key_of(std::span<const std::string> segments) {
  std::string key;
  for (size_t i = 0; i < segments.size(); ++i) {
    if (i > 0) key.push_back('/');
    for (const char c : segments[i])
      if (c == '/')
        key += "%2F";
      else
        key.push_back(c);
  }
  return key;
}

using Roots = std::map<std::string, std::string>;

// Returns the ledger whose root is the longest at or above the path.
std::string ledger_of(const Roots& roots, std::span<const std::string> path) {
  for (size_t depth = path.size() + 1; depth-- > 0;) {
    const auto found = roots.find(key_of(path.first(depth)));
    if (found != roots.end()) return found->second;
  }
  return {};
}

bool lies_at_or_above_a_root(const Roots& roots, const std::string& path) {
  if (path.empty() || roots.contains(path)) return true;
  const auto below = roots.lower_bound(path + "/");
  return below != roots.end() && below->first.starts_with(path + "/");
}

Error error_of(const std::string& failure, const std::string& message) {
  if (failure == "input" || failure == "path") return {ErrorCode::kMessage, message, {}};
  if (failure == "evaluation") return {ErrorCode::kInvalidModel, message, {}};
  if (failure == "result_too_large") return {ErrorCode::kLimit, message, {}};
  if (failure == "cancelled") return {ErrorCode::kTimeout, "the evaluation was stopped", {}};
  return {ErrorCode::kInternal, "the policy worker failed: " + failure + ": " + message, {}};
}

}  // namespace

void EngineCore::submit(CoreQuestion question, TimeMs now_ms) {
  const uint64_t ticket = question.ticket;
  Asked asked;
  asked.path = key_of(question.path);
  asked.asked_ms = now_ms;
  asked.deadline_ms = question.deadline_ms > 0 ? question.deadline_ms : options_.deadline_ms;
  asked.snapshot_min = active_;
  if (active_ != 0) {
    const Roots& roots = snapshots_.at(active_).ledger_of_root;
    asked.ledger = ledger_of(roots, question.path);
    asked.broad = lies_at_or_above_a_root(roots, asked.path);
  }
  asked.question = std::move(question);
  const auto [at, added] = asked_.emplace(ticket, std::move(asked));
  NOTP_ASSERT(added, "tickets are used once");
  if (active_ == 0) return refuse(ticket, {ErrorCode::kUnavailable, "no policy is active yet", {}});
  if (!admit(at->second, now_ms)) return;
  if (is_crowded(at->second, now_ms)) return;
  enqueue(at->second, now_ms);
  settle(now_ms);
}

// Whether the queue is full; refuses the question then.
bool EngineCore::is_crowded(const Asked& asked, TimeMs now_ms) {
  const Lane& lane = lanes_[static_cast<size_t>(lane_of(asked, now_ms))];
  const auto queue = lane.queues.find(asked.ledger);
  const auto own = waiting_of_.find(asked.question.caller);
  const size_t of_ledger = queue == lane.queues.end() ? 0 : queue->second.size();
  const size_t of_caller = own == waiting_of_.end() ? 0 : own->second;
  const bool caller_is_full = of_caller >= options_.caller_waiting_max;
  if (!caller_is_full && of_ledger < std::max<size_t>(options_.waiting_max / 2, 1) &&
      ages_.size() < options_.waiting_max)
    return false;
  refuse(asked.question.ticket,
         {ErrorCode::kOverloaded,
          caller_is_full
              ? fmt::format("{} questions of this caller wait for a policy decision", of_caller)
              : fmt::format("{} questions wait for a policy decision", ages_.size()),
          {}});
  return true;
}

void EngineCore::cancel(uint64_t ticket, TimeMs now_ms) {
  Asked* asked = find(ticket);
  if (asked == nullptr || asked->gone) return;
  if (asked->waiting) {
    refuse(ticket, {ErrorCode::kCancelled, "the question was cancelled", {}});
  } else {
    effects_.push_back(
        effect::Refuse{ticket, {ErrorCode::kCancelled, "the question was cancelled", {}}});
    asked->gone = true;
    for (size_t slot = 0; slot < slots_.size(); ++slot) {
      const auto flight = slots_[slot].in_flight.find(asked->wire_id);
      if (flight != slots_[slot].in_flight.end() && flight->second == ticket)
        effects_.push_back(effect::Cancel{ref(slot), asked->wire_id});
    }
  }
  settle(now_ms);
}

// Whether quarantine admits the question; refuses it otherwise.
bool EngineCore::admit(Asked& asked, TimeMs now_ms) {
  if (asked.probe) return true;
  const auto verdict = suspicion_.admit(asked.path, asked.question.caller, now_ms);
  if (verdict.admission == Suspicion::Admission::kProbe) asked.probe = true;
  if (verdict.admission != Suspicion::Admission::kRefused) return true;
  refuse(asked.question.ticket, {ErrorCode::kQuarantined,
                                 fmt::format("{} is not evaluated for {} s more: {}", asked.path,
                                             (verdict.for_ms + 999) / 1000, verdict.reason),
                                 {{"path", asked.path}}});
  return false;
}

bool EngineCore::must_be_apart(const Asked& asked, TimeMs now_ms) {
  return asked.alone || asked.probe || suspicion_.is_suspect(asked.path, now_ms);
}

EngineCore::LaneName EngineCore::lane_of(const Asked& asked, TimeMs now_ms) {
  if (must_be_apart(asked, now_ms)) return LaneName::kSlow;
  const bool is_slow = asked.broad || costs_.is_slow(asked.path, asked.question.inputs);
  if (!is_slow && !(asked.heavy && light_company_.of(asked.question.caller, now_ms)))
    return LaneName::kServing;
  return is_slow_lane_open() ? LaneName::kSlow : LaneName::kServing;
}

void EngineCore::enqueue(Asked& asked, TimeMs now_ms) {
  asked.heavy = costs_.is_heavy(asked.path, asked.question.inputs);
  asked.lane = lane_of(asked, now_ms);
  asked.quick = costs_.is_quick(asked.path, asked.question.inputs);
  Lane& lane = lanes_[static_cast<size_t>(asked.lane)];
  asked.turn_ms = lane_clock(lane, now_ms) + asked.deadline_ms;
  lane.company.asked(asked.question.caller, now_ms);
  if (asked.lane == LaneName::kServing && !asked.heavy)
    light_company_.asked(asked.question.caller, now_ms);
  place(asked);
}

// Adds the question to the queue of its lane.
void EngineCore::place(Asked& asked) {
  Lane& lane = lanes_[static_cast<size_t>(asked.lane)];
  const uint64_t ticket = asked.question.ticket;
  LedgerQueue& queue = lane.queues[asked.ledger];
  (asked.quick ? queue.quick : queue.other).insert(asked.question.caller, ticket);
  ++waiting_of_[asked.question.caller];
  lane.turns.emplace(asked.turn_ms, ticket);
  ++lane.waiting;
  ages_.emplace(asked.asked_ms + 2 * asked.deadline_ms + limits::kTakeoverMs, ticket);
  asked.waiting = true;
}

void EngineCore::unqueue(Asked& asked) {
  if (!asked.waiting) return;
  Lane& lane = lanes_[static_cast<size_t>(asked.lane)];
  const uint64_t ticket = asked.question.ticket;
  const auto queue = lane.queues.find(asked.ledger);
  NOTP_ASSERT(queue != lane.queues.end(), "what waits is in a queue");
  (asked.quick ? queue->second.quick : queue->second.other).erase(asked.question.caller, ticket);
  if (queue->second.size() == 0) lane.queues.erase(queue);
  const auto own = waiting_of_.find(asked.question.caller);
  if (--own->second == 0) waiting_of_.erase(own);
  lane.turns.erase({asked.turn_ms, ticket});
  --lane.waiting;
  if (lane.held_back == ticket) lane.held_back = 0;
  ages_.erase({asked.asked_ms + 2 * asked.deadline_ms + limits::kTakeoverMs, ticket});
  asked.waiting = false;
}

EngineCore::Asked* EngineCore::find(uint64_t ticket) {
  const auto found = asked_.find(ticket);
  return found == asked_.end() ? nullptr : &found->second;
}

void EngineCore::refuse(uint64_t ticket, Error error) {
  const Asked* asked = find(ticket);
  if (asked != nullptr && !asked->gone)
    effects_.push_back(effect::Refuse{ticket, std::move(error)});
  forget(ticket);
}

void EngineCore::forget(uint64_t ticket) {
  const auto found = asked_.find(ticket);
  if (found == asked_.end()) return;
  unqueue(found->second);
  if (found->second.probe) {
    std::vector<QuarantineNotice> notices;
    suspicion_.probe_ended(found->second.path, found->second.question.caller, false, notices);
    notify(std::move(notices));
  }
  asked_.erase(found);
}

void EngineCore::notify(std::vector<QuarantineNotice> notices) {
  for (auto& notice : notices) effects_.push_back(effect::Notice{std::move(notice)});
}

void EngineCore::answered(WorkerRef worker, const CoreAnswer& answer, TimeMs now_ms) {
  Slot* slot = current(worker);
  if (slot == nullptr) return;
  const auto flight = slot->in_flight.find(answer.wire_id);
  if (flight == slot->in_flight.end()) return;
  Asked* asked = find(flight->second);
  NOTP_ASSERT(asked != nullptr, "what is in flight is known");
  // The decision has overtaken the answer to the activation.
  if (answer.failure.empty() && is_loading(*slot) && answer.snapshot == slot->provisioning)
    hold(*slot, answer.snapshot, now_ms);
  const bool is_known = answer.failure.empty() ? snapshots_.contains(answer.snapshot) &&
                                                     answer.snapshot >= asked->snapshot_min &&
                                                     answer.snapshot <= slot->held
                                               : answer.failure != "no_snapshot";
  if (!is_known)
    return worker_misbehaved(
        worker, {ErrorCode::kState, "the policy worker decided with a wrong snapshot", {}}, now_ms);
  slot->failures = 0;
  const uint64_t ticket = flight->second;
  finish_flight(*slot, ticket, now_ms);
  conclude(*asked, answer);
  forget(ticket);
  settle(now_ms);
}

// Records the costs of its path, and answers the caller.
void EngineCore::conclude(Asked& asked, const CoreAnswer& answer) {
  if (answer.failure == "cancelled") {
    if (asked.overdue) costs_.timed_out(asked.path);
  } else {
    costs_.evaluated(asked.path, answer.evaluation_ns, asked.question.inputs);
    suspicion_.answered(asked.path);
    std::vector<QuarantineNotice> notices;
    if (asked.probe) suspicion_.probe_ended(asked.path, asked.question.caller, true, notices);
    asked.probe = false;
    notify(std::move(notices));
  }
  if (asked.gone) return;
  if (answer.failure.empty())
    effects_.push_back(
        effect::Deliver{asked.question.ticket, snapshots_.at(answer.snapshot).snapshot});
  else
    effects_.push_back(effect::Refuse{asked.question.ticket, failure_of(asked, answer)});
}

Error EngineCore::failure_of(const Asked& asked, const CoreAnswer& answer) const {
  Error error = evaluation_error(answer.failure, answer.message, answer.details, answer.extras);
  if (answer.failure == "cancelled" && asked.overdue)
    error.message =
        fmt::format("the evaluation of {} took longer than {} ms", asked.path, asked.deadline_ms);
  return error;
}

Error evaluation_error(const std::string& failure, const std::string& message,
                       const std::string& details, const std::string& extras) {
  Error error = error_of(failure, message);
  if (error.code == ErrorCode::kInvalidModel && !details.empty())
    error.context.emplace_back(kEvaluationErrorsKey, details);
  if (!extras.empty()) error.context.emplace_back(kEvaluationExtrasKey, extras);
  return error;
}

void EngineCore::finish_flight(Slot& slot, uint64_t ticket, TimeMs now_ms) {
  Asked* asked = find(ticket);
  slot.in_flight.erase(asked->wire_id);
  slot.has_alone = false;
  slot.flights.remove(asked->ledger, asked->question.caller);
  if (slot.in_flight.empty()) slot.idle_ms = now_ms;
}

uint64_t EngineCore::ticket_of(WorkerRef worker, uint32_t wire_id) const {
  const Slot& slot = slots_[worker.slot];
  if (slot.generation != worker.generation) return 0;
  const auto flight = slot.in_flight.find(wire_id);
  return flight == slot.in_flight.end() ? 0 : flight->second;
}

SnapshotPtr EngineCore::active() const {
  return active_ == 0 ? nullptr : snapshots_.at(active_).snapshot;
}

EngineStatus EngineCore::status() const {
  EngineStatus status = counters_;
  status.serving = takes_questions(serving_);
  status.in_flight = slots_[0].in_flight.size() + slots_[1].in_flight.size();
  status.waiting = ages_.size();
  status.suspects = suspicion_.suspects();
  status.quarantined = suspicion_.quarantined();
  return status;
}

}  // namespace notp::rego
