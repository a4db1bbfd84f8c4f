// The engine's core: consequences of a lost worker. README.md beside this file lists them by the
// kind of loss.
#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "common/rego/host/engine_core.hpp"

namespace notp::rego {

void EngineCore::kill(size_t index, Loss loss, const std::string& why, TimeMs now_ms) {
  ++counters_.kills;
  slots_[index].state = SlotState::kDying;
  effects_.push_back(effect::Kill{ref(index)});
  lose(index, loss, why, now_ms);
}

// The slot's worker is lost: its questions go elsewhere.
void EngineCore::lose(size_t index, Loss loss, const std::string& why, TimeMs now_ms) {
  Slot& slot = slots_[index];
  const bool was_idle = slot.in_flight.empty();
  // One that is in place is no cause.
  if (!is_loading(slot)) end_provision(slot);
  const uint64_t provisioning = slot.provisioning;
  slot.held = 0;
  slot.outdated = slot.is_nice = slot.leaves_processor = false;
  slot.look_ms = kNever;
  lose_questions(slot, loss, why, now_ms);
  end_provision(slot);
  if (provisioning != 0 && provisioning == pending_)
    lose_provision(loss, slot.provision_is_clean, why);
  else if (provisioning != 0 && loss != Loss::kOutside && was_idle)
    slot.provision_at_ms = now_ms + backoff_ms(++slot.provision_failures);
  if (!why.empty()) counters_.last_error = why;
  settle_roles(now_ms);
}

void EngineCore::lose_questions(Slot& slot, Loss loss, const std::string& why, TimeMs now_ms) {
  // Otherwise the snapshot that is being provisioned is considered the cause first.
  const bool by_questions = slot.provisioning == 0;
  std::vector<uint64_t> guilty, others;
  for (const auto& [wire_id, ticket] : slot.in_flight) {
    const Asked& asked = *find(ticket);
    const bool was_apart = slot.in_flight.size() == 1 && must_be_apart(asked, now_ms);
    const bool is_cause = loss == Loss::kDeadline ? asked.overdue
                          : loss == Loss::kMemory ? by_questions && was_apart
                          : loss == Loss::kCrash  ? by_questions && asked.alone
                                                  : false;
    (is_cause ? guilty : others).push_back(ticket);
  }
  slot.in_flight.clear();
  slot.flights.clear();
  slot.has_alone = false;
  judge(guilty, why,
        loss == Loss::kDeadline ? ErrorCode::kTimeout
        : loss == Loss::kMemory ? ErrorCode::kLimit
                                : ErrorCode::kInternal,
        now_ms);
  for (const uint64_t ticket : others) {
    Asked& asked = *find(ticket);
    // One of them may be the cause: isolated, it will show.
    if (by_questions) {
      if (loss == Loss::kMemory) suspicion_.suspect(asked.path, now_ms);
      if (loss == Loss::kMemory || loss == Loss::kCrash) asked.alone = true;
    }
    repeat(asked, now_ms);
  }
}

// A worker was stopped because of these questions.
void EngineCore::judge(const std::vector<uint64_t>& tickets, const std::string& reason,
                       ErrorCode code, TimeMs now_ms) {
  std::vector<Offence> offences;
  for (const uint64_t ticket : tickets) {
    Asked& asked = *find(ticket);
    offences.push_back({asked.path, asked.ledger, asked.question.caller, reason});
    asked.probe = false;  // the quarantine continues
  }
  std::vector<QuarantineNotice> notices;
  const auto quarantined = suspicion_.stopped(offences, now_ms, notices);
  notify(std::move(notices));
  for (size_t i = 0; i < tickets.size(); ++i)
    refuse(tickets[i],
           {quarantined[i] ? ErrorCode::kQuarantined : code,
            fmt::format("the evaluation of {} was stopped: {}{}", offences[i].path, reason,
                        quarantined[i] ? ", again; it is not evaluated for a while" : ""),
            {{"path", offences[i].path}}});
}

void EngineCore::repeat(Asked& asked, TimeMs now_ms) {
  const uint64_t ticket = asked.question.ticket;
  if (asked.gone) return forget(ticket);
  if (asked.overdue)
    return refuse(ticket, {ErrorCode::kTimeout,
                           fmt::format("the evaluation of {} took longer than {} ms", asked.path,
                                       asked.deadline_ms),
                           {}});
  if (++asked.repeats > limits::kRepeatsMax)
    return refuse(ticket, {ErrorCode::kUnavailable,
                           fmt::format("{} policy workers ended while they evaluated {}",
                                       asked.repeats, asked.path),
                           {}});
  ++counters_.repeats;
  enqueue(asked, now_ms);
}

// The pending snapshot may have been the cause, or what its worker held besides. Only a worker that
// never had another one can show that: the snapshot is tried there next (is_proving()).
void EngineCore::lose_provision(Loss loss, bool was_clean, const std::string& why) {
  if (loss == Loss::kMemory || loss == Loss::kCrash) {
    if (was_clean && (loss == Loss::kMemory || pending_strikes_ > 0))
      return pending_failed(
          {ErrorCode::kPdpRejected, "the policy worker ended over it: " + why, {}});
    ++pending_strikes_;
  }
  if (++pending_losses_ > limits::kRepeatsMax)
    return pending_failed(
        {ErrorCode::kUnavailable, "policy workers end before it is active: " + why, {}});
  // A newer snapshot waits: this one does not get a second attempt.
  if (next_ != 0) pending_failed({ErrorCode::kCancelled, "a newer snapshot takes its place", {}});
}

void EngineCore::expire_flights(size_t index, TimeMs now_ms) {
  Slot& slot = slots_[index];
  const Asked* late = nullptr;
  bool is_starved = false;
  for (const auto& [wire_id, ticket] : slot.in_flight) {
    Asked& asked = *find(ticket);
    if (asked.soft_ms > now_ms) continue;
    if (!asked.overdue) {
      effects_.push_back(effect::Cancel{ref(index), wire_id});
      asked.overdue = true;
      asked.hard_ms = asked.soft_ms + options_.grace_ms;
      slot.look_ms = now_ms;
    }
    if (asked.hard_ms > now_ms) continue;
    const bool is_over = asked.overdue_from_us != kUnknownUs &&
                         slot.processor_us - asked.overdue_from_us >= options_.grace_ms * 1'000 / 2;
    if (is_over)
      late = &asked;
    else if (asked.soft_ms + options_.grace_ms + options_.starved_ms <= now_ms)
      is_starved = true;
    else
      asked.hard_ms = now_ms + limits::kWorkerLookMs;
  }
  if (late != nullptr)
    kill(index, Loss::kDeadline,
         fmt::format("it did not end within {} ms of its deadline of {} ms", options_.grace_ms,
                     late->deadline_ms),
         now_ms);
  else if (is_starved)
    kill(index, Loss::kOutside, "it got no processor", now_ms);
}

void EngineCore::expire_provision(size_t index, TimeMs now_ms) {
  Slot& slot = slots_[index];
  if (slot.provisioning == 0 || slot.provision_by_ms > now_ms) return;
  if (slot.provisioning == pending_) {
    const bool is_starved =
        slot.processor_us - slot.provision_from_us < limits::kActivationMs * 1'000 / 2;
    pending_failed({is_starved ? ErrorCode::kUnavailable : ErrorCode::kPdpRejected,
                    fmt::format("it was not ready after {} s{}", limits::kActivationMs / 1000,
                                is_starved ? ": this machine is too busy" : ""),
                    {}});
  }
  kill(index, Loss::kOutside, "a snapshot was not ready in time", now_ms);
}

void EngineCore::looked(WorkerRef worker, const WorkerUse& use, uint64_t budget_bytes,
                        TimeMs now_ms) {
  Slot* slot = current(worker);
  if (slot == nullptr || slot->state != SlotState::kReady) return;
  slot->processor_us = std::max(slot->processor_us, use.processor_us);
  for (const auto& [wire_id, ticket] : slot->in_flight)
    if (Asked& asked = *find(ticket); asked.overdue && asked.overdue_from_us == kUnknownUs)
      asked.overdue_from_us = slot->processor_us;
  if (use.memory_bytes <= budget_bytes) return;
  kill(worker.slot, Loss::kMemory,
       fmt::format("its worker held {} MiB of memory, of {} that it may have",
                   use.memory_bytes >> 20, budget_bytes >> 20),
       now_ms);
  settle(now_ms);
}

void EngineCore::worker_died(WorkerRef worker, Death death, const std::string& why, TimeMs now_ms) {
  if (slots_[worker.slot].generation != worker.generation) return;
  Slot& slot = slots_[worker.slot];
  if (slot.state == SlotState::kStopped) return;
  const bool was_killed = slot.state == SlotState::kDying;
  const bool was_starting = slot.state == SlotState::kStarting;
  const bool was_idle = slot.in_flight.empty() && slot.provisioning == 0;
  slot.state = SlotState::kStopped;
  slot.start_ms = now_ms;
  if (!was_killed) ++counters_.deaths;
  if (was_starting && death != Death::kOutside) {
    fail_start(worker.slot, {ErrorCode::kUnavailable, why, {}}, now_ms);
  } else if (!was_killed) {
    // A worker that ends by itself at rest will do so again.
    if (death != Death::kOutside && was_idle) slot.start_ms = now_ms + backoff_ms(++slot.failures);
    lose(worker.slot,
         death == Death::kMemory  ? Loss::kMemory
         : death == Death::kCrash ? Loss::kCrash
                                  : Loss::kOutside,
         why, now_ms);
  }
  settle(now_ms);
}

void EngineCore::worker_misbehaved(WorkerRef worker, const Error& why, TimeMs now_ms) {
  const Slot* slot = current(worker);
  if (slot == nullptr || slot->state != SlotState::kReady) return;
  kill(worker.slot, Loss::kCrash, why.message, now_ms);
  settle(now_ms);
}

}  // namespace notp::rego
