// The engine's core: starting workers, their roles, and the snapshots they hold.
#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "common/rego/host/engine_core.hpp"

namespace notp::rego {

int64_t EngineCore::backoff_ms(int failures) {
  const int doublings = std::clamp(failures - 1, 0, 16);
  return std::min(limits::kBackoffFirstMs << doublings, limits::kBackoffMaxMs);
}

EngineCore::Slot* EngineCore::current(WorkerRef worker) {
  Slot& slot = slots_[worker.slot];
  const bool is_alive = slot.state == SlotState::kStarting || slot.state == SlotState::kReady;
  return slot.generation == worker.generation && is_alive ? &slot : nullptr;
}

void EngineCore::begin(TimeMs now_ms) {
  for (Slot& slot : slots_) slot.start_ms = now_ms;
  settle(now_ms);
}

void EngineCore::settle(TimeMs now_ms) {
  settle_starts(now_ms);
  settle_roles(now_ms);
  settle_proof(now_ms);
  settle_slow_lane(now_ms);
  settle_clocks(now_ms);
  dispatch(now_ms);  // may send questions to the slow lane, for which the standby needs content
  settle_snapshots(now_ms);
  settle_upgrade(now_ms);
  refuse_hopeless(now_ms);
  settle_slow_lane(now_ms);
  settle_clocks(now_ms);
  dispatch(now_ms);
  settle_processors(now_ms);
  settle_looks(now_ms);
}

void EngineCore::settle_starts(TimeMs now_ms) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.state != SlotState::kStopped || slot.start_ms > now_ms) continue;
    ++slot.generation;
    slot.processor_us = 0;
    slot.program = program_;
    slot.state = SlotState::kStarting;
    slot.start_by_ms = now_ms + limits::kWorkerStartMs;
    ++counters_.starts;
    effects_.push_back(effect::Start{ref(i)});
  }
}

bool EngineCore::waits_for_start_of(WorkerRef worker) const {
  const Slot& slot = slots_[worker.slot];
  return slot.generation == worker.generation && slot.state == SlotState::kStarting;
}

void EngineCore::worker_started(WorkerRef worker, TimeMs now_ms) {
  Slot* slot = current(worker);
  if (slot == nullptr || slot->state != SlotState::kStarting) return;
  slot->state = SlotState::kReady;
  slot->is_fresh = true;
  slot->idle_ms = now_ms;
  settle(now_ms);
}

void EngineCore::worker_failed(WorkerRef worker, Error why, TimeMs now_ms) {
  if (!waits_for_start_of(worker)) return worker_died(worker, Death::kOutside, why.message, now_ms);
  slots_[worker.slot].state = SlotState::kStopped;
  fail_start(worker.slot, std::move(why), now_ms);
  settle(now_ms);
}

void EngineCore::fail_start(size_t index, Error why, TimeMs now_ms) {
  Slot& slot = slots_[index];
  slot.start_ms = now_ms + backoff_ms(++slot.failures);
  counters_.last_error = why.message;
  if (!upgrading_) return;
  // The new program does not start: the old one continues.
  for (Slot& each : slots_) each.outdated = false;
  program_ = former_program_;
  upgrading_ = false;
  effects_.push_back(effect::Upgraded{std::unexpected(std::move(why))});
}

void EngineCore::upgrade(TimeMs now_ms) {
  if (upgrading_)
    effects_.push_back(
        effect::Upgraded{fail(ErrorCode::kCancelled, "a newer worker program takes its place")});
  upgrading_ = true;
  former_program_ = std::exchange(program_, ++last_program_);
  for (Slot& slot : slots_)
    slot.outdated = slot.state == SlotState::kStarting || slot.state == SlotState::kReady;
  settle(now_ms);
}

void EngineCore::settle_roles(TimeMs now_ms) {
  const Slot& serving = slots_[serving_];
  const Slot& standby = slots_[1 - serving_];
  if (standby.state != SlotState::kReady) return;
  const bool can_decide = active_ != 0 && standby.held >= active_;
  const bool is_better = (serving.outdated && !standby.outdated) ||
                         (serving.is_nice && !standby.is_nice && !standby.outdated);
  if (serving.state != SlotState::kReady || (can_decide && serving.held < active_)) {
    if (active_ != 0) ++counters_.takeovers;
    swap_roles(now_ms);
  } else if (is_better && (can_decide || active_ == 0) && standby.provisioning == 0 &&
             serving.provisioning == 0) {
    swap_roles(now_ms);
  }
}

void EngineCore::swap_roles(TimeMs now_ms) {
  serving_ = 1 - serving_;
  if (slots_[serving_].is_nice) effects_.push_back(effect::SetNice{ref(serving_), false});
  slots_[1 - serving_].idle_ms = now_ms;
  // Its proof may take long: the other worker gets the active snapshot.
  if (active_ != 0 && pending_ != 0 && slots_[serving_].provisioning == pending_)
    slots_[serving_].is_late = true;
}

// A thread that wakes up may wait for milliseconds until the scheduler takes the processor from one
// that computes, nice or not. So the slow lane leaves one processor to callers of quick questions.
void EngineCore::settle_processors(TimeMs now_ms) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const bool is_busy = i != serving_ && !slot.in_flight.empty();
    const bool leaves = is_busy && now_ms - served_ms_ < kServedRecentlyMs;
    // An idle worker stays unchanged.
    if (leaves == slot.leaves_processor || (i != serving_ && !is_busy)) continue;
    slot.leaves_processor = leaves;
    effects_.push_back(effect::LeaveProcessor{ref(i), leaves});
  }
}

void EngineCore::niced(WorkerRef worker, bool low, TimeMs now_ms) {
  Slot* slot = current(worker);
  if (slot == nullptr) return;
  slot->is_nice = low;
  settle(now_ms);
}

// Whether a worker has been lost with the pending snapshot, so that it is tried on the standby: the
// serving worker continues with the active one, and the slow lane is closed meanwhile.
bool EngineCore::is_proving() const { return has_strike() && takes_questions(serving_); }

// The standby that proves a snapshot must not hold another: a new one is started.
void EngineCore::settle_proof(TimeMs now_ms) {
  Slot& slot = slots_[1 - serving_];
  if (!is_proving() || slot.state != SlotState::kReady || slot.is_fresh || slot.provisioning != 0 ||
      !slot.in_flight.empty())
    return;
  slot.state = SlotState::kDying;
  effects_.push_back(effect::Kill{ref(1 - serving_)});
  lose(1 - serving_, Loss::kOutside, {}, now_ms);
}

// Returns the number of the snapshot that a worker should get next; 0: none.
uint64_t EngineCore::snapshot_wanted(size_t index) const {
  const Slot& slot = slots_[index];
  const Slot& serving = slots_[serving_];
  if (slot.state != SlotState::kReady || slot.provisioning != 0) return 0;
  const bool is_serving = index == serving_;
  if (is_proving()) return !is_serving && slot.is_fresh ? pending_ : 0;
  // It will prove the pending snapshot, as soon as the other one serves.
  if (!is_serving && has_strike() && slot.is_fresh && !serving.is_late) return 0;
  const bool replaces = !is_serving && wants_handover(serving) && !slot.outdated &&
                        (serving.outdated || !slot.is_nice);
  const bool is_wanted = is_serving || slot.held != 0 || replaces || serving.is_late ||
                         lanes_[static_cast<size_t>(LaneName::kSlow)].waiting > 0;
  // A worker without a snapshot first gets the one that is known to be good.
  if (is_wanted && slot.held < active_) return active_;
  return is_serving ? pending_ : 0;
}

// Whether it is a standby whose snapshot is not needed.
bool EngineCore::may_drop(size_t index) const {
  const Slot& slot = slots_[index];
  return index != serving_ && slot.state == SlotState::kReady && slot.held != 0 &&
         slot.provisioning == 0 && slot.in_flight.empty() && takes_questions(serving_) &&
         !wants_handover(slots_[serving_]) &&
         lanes_[static_cast<size_t>(LaneName::kSlow)].waiting == 0;
}

void EngineCore::settle_snapshots(TimeMs now_ms) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const uint64_t wanted = snapshot_wanted(i);
    if (wanted != 0 && slot.provision_at_ms <= now_ms) provision(i, wanted, now_ms);
    if (may_drop(i) && slot.idle_ms + limits::kSlowLaneIdleMs <= now_ms) {
      slot.held = 0;
      effects_.push_back(effect::Drop{ref(i)});
    }
  }
}

void EngineCore::provision(size_t index, uint64_t number, TimeMs now_ms) {
  Slot& slot = slots_[index];
  slot.provisioning = number;
  slot.provision_cancelled = false;
  slot.provision_is_clean = std::exchange(slot.is_fresh, false);
  slot.provision_by_ms = now_ms + limits::kActivationMs;
  slot.provision_from_us = slot.processor_us;
  slot.provision_late_ms =
      index == serving_ && number == active_ ? now_ms + limits::kTakeoverLateMs : kNever;
  effects_.push_back(effect::Provision{
      ref(index), number, number == active_ && slot.program == accepted_by_ && !slot.outdated});
}

void EngineCore::end_provision(Slot& slot) {
  slot.provisioning = 0;
  slot.provision_late_ms = kNever;
  slot.is_late = false;
}

// The snapshot that is being provisioned is in place.
void EngineCore::hold(Slot& slot, uint64_t number, TimeMs now_ms) {
  if (slot.held == 0) slot.idle_ms = now_ms;
  slot.held = number;
  end_provision(slot);
  slot.provisioning = number;  // until its activation is answered
  slot.failures = slot.provision_failures = 0;
  if (number == pending_) activated();
  if (number == active_) accepted_by_ = slot.outdated ? 0 : slot.program;
}

void EngineCore::provisioned(WorkerRef worker, uint64_t number, TimeMs now_ms) {
  Slot* slot = current(worker);
  if (slot == nullptr || slot->provisioning != number || number == 0) return;
  if (is_loading(*slot)) hold(*slot, number, now_ms);
  end_provision(*slot);
  settle(now_ms);
}

void EngineCore::provision_failed(WorkerRef worker, uint64_t number, Error why, TimeMs now_ms) {
  Slot* slot = current(worker);
  if (slot == nullptr || slot->provisioning != number) return;
  if (!is_loading(*slot)) return worker_misbehaved(worker, why, now_ms);  // it decided with it
  end_provision(*slot);
  counters_.last_error = why.message;
  if (number == pending_)
    pending_failed(std::move(why));
  else
    slot->provision_at_ms = now_ms + backoff_ms(++slot->provision_failures);
  settle(now_ms);
}

void EngineCore::activate(uint64_t number, CoreSnapshot snapshot, TimeMs now_ms) {
  const auto superseded = Error{ErrorCode::kCancelled, "a newer snapshot takes its place", {}};
  const uint64_t newest = std::max({active_, pending_, next_});
  if (number <= newest) {
    effects_.push_back(effect::Activated{number, std::unexpected(superseded)});
    return;
  }
  for (const auto& ledger : snapshot.snapshot->ledgers)
    for (const auto& root : ledger.roots) snapshot.ledger_of_root[root] = ledger.name;
  snapshots_[number] = std::move(snapshot);
  if (next_ != 0) {
    effects_.push_back(effect::Activated{next_, std::unexpected(superseded)});
    snapshots_.erase(std::exchange(next_, 0));
  }
  if (pending_ == 0) {
    start_pending(number);
    return settle(now_ms);
  }
  next_ = number;
  bool is_under_way = false;
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.provisioning != pending_) continue;
    is_under_way = true;
    if (std::exchange(slot.provision_cancelled, true)) continue;
    effects_.push_back(effect::CancelProvision{ref(i)});
  }
  if (!is_under_way) pending_failed(superseded);
  settle(now_ms);
}

void EngineCore::start_pending(uint64_t number) {
  pending_ = number;
  pending_losses_ = pending_strikes_ = 0;
}

void EngineCore::pending_failed(Error why) {
  effects_.push_back(effect::Activated{pending_, std::unexpected(std::move(why))});
  snapshots_.erase(pending_);
  start_pending(std::exchange(next_, 0));
}

void EngineCore::activated() {
  const auto before =
      active_ == 0 ? std::map<std::string, Hash>() : snapshots_.at(active_).contents;
  const auto& after = snapshots_.at(pending_).contents;
  std::vector<QuarantineNotice> notices;
  for (const auto& [ledger, content] : before) {
    const auto now = after.find(ledger);
    if (now == after.end() || now->second != content) suspicion_.release_changed(ledger, notices);
  }
  // Paths without a ledger may depend on any.
  if (before != after) suspicion_.release_changed({}, notices);
  notify(std::move(notices));
  active_ = pending_;
  effects_.push_back(effect::Activated{active_, {}});
  start_pending(std::exchange(next_, 0));
  forget_snapshots();
}

// An evaluation that began before a swap may still be answered with the old snapshot.
void EngineCore::forget_snapshots() {
  uint64_t oldest = active_;
  for (const Slot& slot : slots_) {
    if (slot.held != 0) oldest = std::min(oldest, slot.held);
    for (const auto& [wire_id, ticket] : slot.in_flight)
      oldest = std::min(oldest, find(ticket)->snapshot_min);
  }
  snapshots_.erase(snapshots_.begin(), snapshots_.lower_bound(oldest));
}

// A worker of the old program ends once the other serves and nothing runs on it.
void EngineCore::settle_upgrade(TimeMs now_ms) {
  if (!upgrading_) return;
  const size_t standby = 1 - serving_;
  Slot& slot = slots_[standby];
  const bool can_go =
      slots_[serving_].state == SlotState::kReady && (active_ == 0 || takes_questions(serving_));
  if (slot.outdated && slot.state == SlotState::kReady && slot.in_flight.empty() && can_go) {
    slot.state = SlotState::kDying;
    effects_.push_back(effect::Kill{ref(standby)});
    lose(standby, Loss::kOutside, {}, now_ms);
  }
  if (slots_[0].outdated || slots_[1].outdated) return;
  upgrading_ = false;
  effects_.push_back(effect::Upgraded{{}});
}

void EngineCore::settle_looks(TimeMs now_ms) {
  for (Slot& slot : slots_) {
    const bool is_busy =
        slot.state == SlotState::kReady && (!slot.in_flight.empty() || slot.provisioning != 0);
    if (!is_busy)
      slot.look_ms = kNever;
    else if (slot.look_ms == kNever)
      slot.look_ms = now_ms + limits::kWorkerLookMs;
  }
}

void EngineCore::expire(TimeMs now_ms) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.state == SlotState::kStarting && slot.start_by_ms <= now_ms) {
      slot.state = SlotState::kDying;
      effects_.push_back(effect::Kill{ref(i)});
      fail_start(i, {ErrorCode::kUnavailable, "the policy worker said nothing after its start", {}},
                 now_ms);
    }
    if (slot.state == SlotState::kReady) expire_flights(i, now_ms);
    if (slot.state == SlotState::kReady) expire_provision(i, now_ms);
    if (slot.provision_late_ms <= now_ms) {
      slot.provision_late_ms = kNever;
      slot.is_late = true;
    }
    if (slot.look_ms <= now_ms) {
      slot.look_ms = now_ms + limits::kWorkerLookMs;
      effects_.push_back(effect::Look{ref(i)});
    }
  }
  settle_clocks(now_ms);
  expire_waiting(now_ms);
  settle(now_ms);
}

TimeMs EngineCore::next_deadline() const {
  TimeMs next = ages_.empty() ? kNever : ages_.begin()->first;
  for (const Lane& lane : lanes_)
    if (lane.running && !lane.turns.empty())
      next = std::min(next, lane.turns.begin()->first + lane.stood_ms);
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.state == SlotState::kStopped) next = std::min(next, slot.start_ms);
    if (slot.state == SlotState::kStarting) next = std::min(next, slot.start_by_ms);
    if (slot.state != SlotState::kReady) continue;
    next = std::min(next, slot.look_ms);
    for (const auto& [wire_id, ticket] : slot.in_flight) {
      const Asked& asked = asked_.at(ticket);
      next = std::min(next, asked.overdue ? asked.hard_ms : asked.soft_ms);
    }
    if (slot.provisioning != 0)
      next = std::min({next, slot.provision_by_ms, slot.provision_late_ms});
    else if (snapshot_wanted(i) != 0)
      next = std::min(next, slot.provision_at_ms);
    if (may_drop(i)) next = std::min(next, slot.idle_ms + limits::kSlowLaneIdleMs);
  }
  return next;
}

}  // namespace notp::rego
