// The engine's shell: transfers a snapshot's content into a worker.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "common/mutex.hpp"
#include "common/rego/host/content_frames.hpp"
#include "common/rego/host/engine_state.hpp"

namespace notp::rego {
namespace {

namespace asio = boost::asio;

}  // namespace

// Stages the content that the worker lacks, then sends the activation. on_activated() handles its
// answer.
void Engine::State::provide(const ProvisionPtr& provision) {
  Activation plan = plan_activation(provision->number, *provision->target, provision->base_number,
                                    provision->base.get(), provision->is_accepted);
  provision->document_bytes = document_bytes(*provision->target);
  if (provision->base) provision->document_bytes += document_bytes(*provision->base);
  provision->module_bytes = 0;
  for (const auto& [hash, held] : provision->contents)
    if (held.is_module) provision->module_bytes += limits::kWorkerModuleOwnBytes + held.bytes;
  set_budget(*provision);
  if (auto staged = stage_all(*provision, plan.needs); !staged)
    return conclude(provision, std::move(staged), false);
  {
    const MutexLock lock(mutex_);
    if (is_stopped_) return;
    provision->id = next_request_id();
  }
  provision->link->queue(frame_of(provision->id, Operation::kActivate,
                                  std::make_shared<const Bytes>(std::move(plan.payload))));
  provision->link->flush();
}

Result<void> Engine::State::stage_all(Provision& provision, const std::vector<ContentNeed>& needs) {
  for (const ContentNeed& need : needs) {
    if (provision.is_cancelled)
      return fail(ErrorCode::kCancelled, "a newer snapshot takes its place");
    if (provision.contents.contains(need.hash)) continue;
    NOTP_TRY(stage(provision, need));
  }
  return {};
}

Result<void> Engine::State::stage(Provision& provision, const ContentNeed& need) {
  const bool holds_before =
      need.before && provision.base && provision.contents.contains(*need.before);
  NOTP_ASSIGN(auto content, content_frame(need, provision.target->load,
                                          holds_before ? &provision.base->load : nullptr));
  provision.contents[need.hash] = {content.bytes, need.is_module};
  if (need.is_module) provision.module_bytes += limits::kWorkerModuleOwnBytes + content.bytes;
  set_budget(provision);
  if (content.is_patch) {
    ++documents_patched_;
    patch_bytes_ += content.frame.size();
  }
  provision.link->queue(std::move(content.frame));
  if (!provision.link->wait_for_space(limits::kWorkerSendBytesMax))
    return fail(ErrorCode::kUnavailable, "the policy worker has ended");
  return {};
}

// The worker holds both snapshots for a while.
void Engine::State::set_budget(Provision& provision) {
  const uint64_t budget = options_.memory_bytes +
                          limits::kWorkerBytesPerDataByte * provision.document_bytes +
                          limits::kWorkerBytesPerModuleByte * provision.module_bytes;
  if (budget == provision.budget_bytes) return;
  provision.budget_bytes = budget;
  provision.link->limit_data(budget + limits::kWorkerDataSlackBytes);
  const MutexLock lock(mutex_);
  if (link_of(provision.ref) == provision.link.get())
    workers_[provision.ref.slot].budget_bytes = budget;
}

void Engine::State::on_activated(WorkerLink& link, const IncomingFrame& frame) {
  ProvisionPtr provision;
  {
    const MutexLock lock(mutex_);
    if (is_stopped_ || link_of(link.ref()) != &link) return;
    provision = workers_[link.ref().slot].provision;
  }
  if (!provision || provision->id == 0 || provision->id != frame.id) return;
  std::vector<Hash> missing;
  auto outcome = activation_outcome(*provision, frame.payload, missing);
  if (missing.empty()) return conclude(provision, std::move(outcome), true);
  asio::post(pool_, [self = shared_from_this(), provision, hashes = std::move(missing)] {
    ++provision->rounds;
    for (const Hash& hash : hashes) provision->contents.erase(hash);
    auto staged = self->stage_all(*provision, needs_of(*provision->target, hashes));
    if (!staged) return self->conclude(provision, std::move(staged), false);
    self->provide(provision);
  });
}

// `missing`: content that the worker lacks; the activation is repeated.
Result<void> Engine::State::activation_outcome(const Provision& provision, ByteView payload,
                                               std::vector<Hash>& missing) {
  NOTP_ASSIGN(const auto status, decode_status(payload));
  if (const auto* body = std::get_if<ByteView>(&status)) {
    NOTP_ASSIGN(const auto activated, decode_activated(*body));
    if (activated.snapshot != provision.number)
      return fail(ErrorCode::kMessage, "the policy worker activated another snapshot");
    units_compiled_ += activated.units;
    return {};
  }
  const auto& failure = std::get<Failure>(status);
  if (failure.code == "rejected") return std::unexpected(rejection_of(failure.message));
  if (failure.code == "cancelled") return fail(ErrorCode::kCancelled, "it was cancelled");
  if (failure.code == "missing" && provision.rounds < kActivationRoundsMax) {
    NOTP_ASSIGN(missing, decode_missing(failure.message));
    return {};
  }
  // What it has is not what it confirmed: it must not decide any more.
  if (failure.code == "base")
    return fail(ErrorCode::kMessage, "the policy worker has lost the snapshot that it confirmed");
  return fail(ErrorCode::kInternal,
              "the policy worker cannot activate: " + failure.code + ": " + failure.message);
}

void Engine::State::conclude(const ProvisionPtr& provision, Result<void> outcome,
                             bool on_executor) {
  // The worker has dropped content that is in no snapshot.
  const Snapshot* holds = outcome ? provision->target.get() : provision->base.get();
  if (holds == nullptr) {
    provision->contents.clear();
  } else if (!outcome ||
             provision->contents.size() > holds->modules.size() + holds->documents.size()) {
    const auto kept = contents_of(*holds);
    std::erase_if(provision->contents,
                  [&](const auto& each) { return !kept.contains(each.first); });
  }
  MutexLock lock(mutex_);
  Worker& worker = workers_[provision->ref.slot];
  if (is_stopped_ || worker.provision != provision) return;
  worker.contents = std::move(provision->contents);
  worker.provision.reset();
  if (outcome) {
    worker.held = provision->number;
    worker.snapshot = provision->target;
    core_.provisioned(provision->ref, provision->number, now_ms());
  } else if (outcome.error().code == ErrorCode::kMessage) {
    core_.worker_misbehaved(provision->ref, outcome.error(), now_ms());
  } else {
    core_.provision_failed(provision->ref, provision->number, std::move(outcome).error(), now_ms());
  }
  Rest rest = perform();
  lock.unlock();
  finish(std::move(rest), on_executor);
}

}  // namespace notp::rego
