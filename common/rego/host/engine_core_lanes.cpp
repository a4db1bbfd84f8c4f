// The engine's core: the choice of the next question.
#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "common/rego/host/engine_core.hpp"

namespace notp::rego {
namespace {

constexpr uint32_t kWireIdMax = 0x7fff'ffff;  // the shell's own requests have the others
constexpr uint32_t kOtherFirstEvery = 8;      // interval of questions that are not quick

}  // namespace

bool EngineCore::takes_questions(size_t index) const {
  const Slot& slot = slots_[index];
  if (slot.state != SlotState::kReady || active_ == 0 || slot.held < active_) return false;
  if (index != serving_ && is_proving()) return false;
  // An old program serves only until a new one does.
  return index == serving_ || !slot.outdated || !takes_questions(serving_);
}

void EngineCore::dispatch(TimeMs now_ms) {
  dispatch_lane(LaneName::kServing, serving_, now_ms);
  dispatch_lane(LaneName::kSlow, 1 - serving_, now_ms);
}

void EngineCore::dispatch_lane(LaneName name, size_t index, TimeMs now_ms) {
  Lane& lane = lanes_[static_cast<size_t>(name)];
  Slot& slot = slots_[index];
  while (lane.waiting > 0 && takes_questions(index) && !slot.has_alone &&
         slot.in_flight.size() < options_.in_flight_max) {
    const uint64_t ticket = lane.held_back != 0 ? lane.held_back : pick(lane, slot, now_ms);
    if (ticket == 0) return;
    Asked* asked = find(ticket);
    NOTP_ASSERT(asked != nullptr && asked->waiting, "what is picked waits");
    if (!prepare(*asked, name, now_ms)) continue;
    if (asked->alone && !slot.in_flight.empty()) {
      lane.held_back = ticket;
      return;
    }
    send(*asked, index, now_ms);
  }
}

// Returns the next ticket of a ledger and a caller below their shares in flight; 0: none.
uint64_t EngineCore::pick(Lane& lane, const Slot& slot, TimeMs now_ms) {
  const bool quick_first = lane.served % kOtherFirstEvery != kOtherFirstEvery - 1;
  const uint64_t first = pick_class(lane, slot, quick_first, now_ms);
  return first != 0 ? first : pick_class(lane, slot, !quick_first, now_ms);
}

uint64_t EngineCore::pick_class(Lane& lane, const Slot& slot, bool quick, TimeMs now_ms) {
  const size_t share = std::max<size_t>(options_.in_flight_max / 2, 1);
  auto at = lane.queues.upper_bound(lane.last_ledger);
  for (size_t i = 0; i < lane.queues.size(); ++i, ++at) {
    if (at == lane.queues.end()) at = lane.queues.begin();
    const std::string& ledger = at->first;
    if (slot.flights.of_ledger(ledger) >= share) continue;
    // Half stays free for other callers, so that a flood does not delay them.
    const auto may = [&](const std::string& caller) {
      return !lane.company.of(caller, now_ms) ||
             (slot.flights.of(ledger, caller) < (share + 1) / 2 &&
              slot.flights.of_caller(caller) < share);
    };
    const uint64_t ticket = (quick ? at->second.quick : at->second.other).next(may);
    if (ticket != 0) return ticket;
  }
  return 0;
}

// Whether it may go now. Otherwise it was refused, or moved to the other lane, because the state
// has changed since it was queued.
bool EngineCore::prepare(Asked& asked, LaneName name, TimeMs now_ms) {
  if (!admit(asked, now_ms)) return false;
  if (lane_of(asked, now_ms) == name) return true;
  unqueue(asked);
  enqueue(asked, now_ms);
  return false;
}

void EngineCore::send(Asked& asked, size_t index, TimeMs now_ms) {
  Slot& slot = slots_[index];
  Lane& lane = lanes_[static_cast<size_t>(asked.lane)];
  lane.last_ledger = asked.ledger;
  ++lane.served;
  unqueue(asked);
  do {
    last_wire_id_ = last_wire_id_ >= kWireIdMax ? 1 : last_wire_id_ + 1;
  } while (slot.in_flight.contains(last_wire_id_));
  asked.wire_id = last_wire_id_;
  asked.soft_ms = now_ms + asked.deadline_ms;
  asked.hard_ms = kNever;
  asked.overdue_from_us = kUnknownUs;
  slot.in_flight.emplace(asked.wire_id, asked.question.ticket);
  slot.flights.add(asked.ledger, asked.question.caller);
  slot.has_alone = asked.alone;
  if (index == serving_ && !asked.heavy) served_ms_ = now_ms;
  if (index != serving_ && !slot.is_nice && !wants_handover(slots_[serving_])) {
    slot.is_nice = true;
    effects_.push_back(effect::SetNice{ref(index), true});
  }
  effects_.push_back(effect::Send{ref(index), asked.wire_id, asked.question.ticket});
}

TimeMs EngineCore::lane_clock(const Lane& lane, TimeMs now_ms) const {
  return (lane.running ? now_ms : lane.stopped_ms) - lane.stood_ms;
}

void EngineCore::settle_clocks(TimeMs now_ms) {
  for (size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    const size_t slot = i == static_cast<size_t>(LaneName::kServing) ? serving_ : 1 - serving_;
    // A question that must be alone does not make others wait at their cost.
    const bool runs = takes_questions(slot) && !slots_[slot].has_alone && lane.held_back == 0;
    if (runs == lane.running) continue;
    if (runs)
      lane.stood_ms += now_ms - lane.stopped_ms;
    else
      lane.stopped_ms = now_ms;
    lane.running = runs;
  }
}

void EngineCore::expire_waiting(TimeMs now_ms) {
  for (Lane& lane : lanes_) {
    while (lane.running && !lane.turns.empty() &&
           lane.turns.begin()->first <= lane_clock(lane, now_ms)) {
      const uint64_t ticket = lane.turns.begin()->second;
      refuse(ticket, {ErrorCode::kOverloaded,
                      fmt::format("{} waited longer than {} ms for its turn", find(ticket)->path,
                                  find(ticket)->deadline_ms),
                      {}});
    }
  }
  while (!ages_.empty() && ages_.begin()->first <= now_ms)
    refuse(ages_.begin()->second,
           {ErrorCode::kUnavailable,
            "no policy worker could decide in time" +
                (counters_.last_error.empty() ? "" : ": " + counters_.last_error),
            {}});
}

// Whether the worker fails to start, so that nothing can be expected of it soon.
bool EngineCore::is_useless(const Slot& slot) const {
  return slot.state != SlotState::kReady && slot.failures > 0;
}

// Refuses isolated questions while the standby does not start, and all while no worker does.
void EngineCore::refuse_hopeless(TimeMs now_ms) {
  if (!is_useless(slots_[1 - serving_])) return;
  const bool all = is_useless(slots_[serving_]);
  const Error why{
      ErrorCode::kUnavailable, "the policy worker does not start: " + counters_.last_error, {}};
  if (pending_ != 0 && (all || is_proving())) pending_failed(why);
  std::vector<uint64_t> tickets;
  for (Lane& lane : lanes_)
    if (all || &lane == &lanes_[static_cast<size_t>(LaneName::kSlow)])
      for (const auto& [turn, ticket] : lane.turns) tickets.push_back(ticket);
  for (const uint64_t ticket : tickets)
    if (all || must_be_apart(*find(ticket), now_ms)) refuse(ticket, why);
}

// Whether the standby takes questions that are only slow: not while it fails to start, proves a
// snapshot, or is held by an evaluation that must be alone.
bool EngineCore::is_slow_lane_open() const {
  const Slot& standby = slots_[1 - serving_];
  return !is_useless(standby) && !is_proving() && !standby.has_alone &&
         lanes_[static_cast<size_t>(LaneName::kSlow)].held_back == 0;
}

// When it closes, the serving worker takes the questions that are only slow.
void EngineCore::settle_slow_lane(TimeMs now_ms) {
  const bool was_open = std::exchange(slow_lane_was_open_, is_slow_lane_open());
  if (!was_open || slow_lane_was_open_) return;
  std::vector<uint64_t> tickets;
  for (const auto& [turn, ticket] : lanes_[static_cast<size_t>(LaneName::kSlow)].turns)
    tickets.push_back(ticket);
  for (const uint64_t ticket : tickets) {
    Asked& asked = *find(ticket);
    if (must_be_apart(asked, now_ms)) continue;
    unqueue(asked);
    enqueue(asked, now_ms);
  }
}

}  // namespace notp::rego
