// The engine's shell: processes, and their frames.
#include <fmt/format.h>

#include "common/mutex.hpp"
#include "common/rego/host/engine_state.hpp"

namespace notp::rego {
namespace {

constexpr uint32_t kRequestIds = 0x8000'0000;  // the core numbers questions below

}  // namespace

uint32_t Engine::State::next_request_id() {
  last_request_id_ = (last_request_id_ + 1) % kRequestIds;
  return kRequestIds + last_request_id_;
}

void Engine::State::start_worker(WorkerRef ref) {
  std::string program;
  {
    const MutexLock lock(mutex_);
    if (is_stopped_) return;
    program = program_;
  }
  auto process =
      WorkerProcess::start({program, options_.memory_bytes + limits::kWorkerDataSlackBytes,
                            processors_, options_.result_bytes_max, options_.has_network, false});
  std::shared_ptr<WorkerLink> link;
  MutexLock lock(mutex_);
  if (is_stopped_) return;
  if (process) {
    const std::weak_ptr<State> weak = weak_from_this();
    WorkerEvents events{[weak](WorkerLink& from, const std::vector<IncomingFrame>& frames) {
                          if (const auto self = weak.lock()) self->on_frames(from, frames);
                        },
                        [weak](WorkerLink& from, const Error& error) {
                          if (const auto self = weak.lock()) self->on_broken(from, error);
                        },
                        [weak](WorkerLink& from, const WorkerEnd& end) {
                          if (const auto self = weak.lock()) self->on_ended(from, end);
                        }};
    link = std::make_shared<WorkerLink>(executor_, std::move(*process), ref, std::move(events),
                                        limits::kWorkerFrameBytesMax);
    Worker& worker = workers_[ref.slot];
    worker = {};
    worker.link = link;
    worker.ref = ref;
    worker.budget_bytes = options_.memory_bytes;
    // It started too late.
    if (!core_.waits_for_start_of(ref)) link->kill();
  } else {
    core_.worker_failed(ref, process.error(), now_ms());
  }
  Rest rest = perform();
  lock.unlock();
  if (link) link->begin();
  finish(std::move(rest), true);
}

void Engine::State::on_frames(WorkerLink& link, const std::vector<IncomingFrame>& frames) {
  for (const IncomingFrame& frame : frames) {
    const auto operation = static_cast<Operation>(frame.operation);
    if (operation == Operation::kHello)
      on_hello(link, frame);
    else if (operation == Operation::kEval || operation == Operation::kEvalBatch)
      on_evaluated(link, frame);
    else if (operation == Operation::kActivate)
      on_activated(link, frame);
    else if (operation == Operation::kTokens)
      on_tokens(link, frame);
  }
}

void Engine::State::on_hello(WorkerLink& link, const IncomingFrame& frame) {
  const auto hello = decode_hello(frame.payload);
  MutexLock lock(mutex_);
  if (is_stopped_ || link_of(link.ref()) != &link) return;
  Worker& worker = workers_[link.ref().slot];
  if (worker.is_greeted) return;
  worker.is_greeted = true;
  std::string problem;
  Rest tokens;
  if (!hello)
    problem = hello.error().message;
  else if (hello->protocol != kWorkerProtocol)
    problem =
        fmt::format("{} speaks protocol {} and not {}", program_, hello->protocol, kWorkerProtocol);
  else if (hello->opa_version != opa_version_)
    problem = fmt::format("{} has OPA {} and not {}", program_, hello->opa_version, opa_version_);
  if (problem.empty()) {
    send_tokens(worker, tokens);  // before it is asked anything
    core_.worker_started(link.ref(), now_ms());
  } else {
    link.kill();
    core_.worker_failed(link.ref(), {ErrorCode::kUnavailable, problem, {}}, now_ms());
  }
  Rest rest = perform();
  lock.unlock();
  finish(std::move(tokens), true);
  finish(std::move(rest), true);
}

Result<Engine::State::Answered> Engine::State::decode(const IncomingFrame& frame) const {
  Answered answered;
  answered.core.wire_id = frame.id;
  NOTP_ASSIGN(const auto status, decode_status(frame.payload));
  if (const auto* failure = std::get_if<Failure>(&status)) {
    answered.core.failure = failure->code.empty() ? "unknown" : failure->code;
    answered.core.message = failure->message;
    answered.core.details = failure->details;
    answered.core.extras = failure->extras;
    return answered;
  }
  const ByteView body = std::get<ByteView>(status);
  NOTP_ASSIGN(answered.answer, static_cast<Operation>(frame.operation) == Operation::kEval
                                   ? decode_evaluated(body, options_.result_bytes_max)
                                   : decode_evaluated_batch(body, options_.result_bytes_max));
  answered.core.snapshot = answered.answer.snapshot;
  answered.core.evaluation_ns = answered.answer.evaluation_ns;
  return answered;
}

void Engine::State::on_evaluated(WorkerLink& link, const IncomingFrame& frame) {
  auto answered = decode(frame);
  MutexLock lock(mutex_);
  if (is_stopped_ || link_of(link.ref()) != &link) return;
  if (answered && answered->core.failure.empty()) {
    const auto ticket = core_.ticket_of(link.ref(), frame.id);
    const auto asked = asked_.find(ticket);
    if (asked != asked_.end() && asked->second.inputs != answered->answer.inputs.size())
      answered = fail(ErrorCode::kMessage, "the policy worker answered another number of inputs");
  }
  if (answered)
    core_.answered(link.ref(), answered->core, now_ms());
  else
    core_.worker_misbehaved(link.ref(), answered.error(), now_ms());
  Rest rest = perform(answered ? &*answered : nullptr);
  lock.unlock();
  finish(std::move(rest), true);
}

void Engine::State::on_broken(WorkerLink& link, const Error& error) {
  MutexLock lock(mutex_);
  if (is_stopped_) return;
  core_.worker_misbehaved(link.ref(), error, now_ms());
  Rest rest = perform();
  lock.unlock();
  // Also for one that the core does not wait for.
  link.kill();
  finish(std::move(rest), true);
}

void Engine::State::on_ended(WorkerLink& link, const WorkerEnd& end) {
  MutexLock lock(mutex_);
  if (is_stopped_) return;
  if (link_of(link.ref()) == &link) workers_[link.ref().slot] = {};
  core_.worker_died(link.ref(), end.death, end.why, now_ms());
  Rest rest = perform();
  finish_feeds(rest);
  lock.unlock();
  const auto keep = link.shared_from_this();
  link.close();
  finish(std::move(rest), true);
}

}  // namespace notp::rego
