#include "common/rego/host/engine.hpp"

#include <boost/asio/post.hpp>
#include <chrono>

#include "common/assert.hpp"
#include "common/mutex.hpp"
#include "common/rego/host/engine_state.hpp"

namespace notp::rego {
namespace {

namespace asio = boost::asio;

Error cancelled() { return {ErrorCode::kCancelled, "the policy engine ends", {}}; }

CoreOptions core_options(const EngineOptions& options, unsigned processors) {
  return {.in_flight_max = worker_in_flight_max(processors),
          .deadline_ms = options.deadline_ms,
          .grace_ms = options.grace_ms,
          .waiting_max = options.waiting_max};
}

// The memory budget covers inputs of the usual size; larger ones need more, as data does.
EngineOptions with_room(EngineOptions options, unsigned processors) {
  const size_t usual = limits::kInputBytesMax;
  if (options.input_bytes_max > usual)
    options.memory_bytes += worker_in_flight_max(processors) * limits::kWorkerBytesPerDataByte *
                            (options.input_bytes_max - usual);
  return options;
}

}  // namespace

Engine::Engine(asio::any_io_executor executor, asio::thread_pool& pool, EngineOptions options,
               std::function<void(QuarantineNotice)> on_quarantine)
    : state_(std::make_shared<State>(std::move(executor), pool, std::move(options),
                                     std::move(on_quarantine))) {
  state_->begin();
}

Engine::~Engine() { state_->stop(); }

void Engine::stop() { state_->stop(); }

uint64_t Engine::evaluate(Question question, DecisionDone done) {
  return state_->evaluate(std::move(question), std::move(done));
}
void Engine::cancel(uint64_t ticket) { state_->cancel(ticket); }
void Engine::activate(SnapshotPtr snapshot, std::function<void(Result<void>)> done) {
  state_->activate(std::move(snapshot), std::move(done));
}
void Engine::replace_worker(std::string program, std::function<void(Result<void>)> done) {
  state_->replace_worker(std::move(program), std::move(done));
}
void Engine::feed_tokens(TokenUpdate update, std::function<void(Result<void>)> done) {
  state_->feed_tokens(std::move(update), std::move(done));
}
SnapshotPtr Engine::active() const { return state_->active(); }
EngineStatus Engine::status() const { return state_->status(); }

Engine::State::State(asio::any_io_executor executor, asio::thread_pool& pool, EngineOptions options,
                     std::function<void(QuarantineNotice)> on_quarantine)
    : executor_(std::move(executor)),
      pool_(pool),
      options_(with_room(std::move(options), worker_processors())),
      opa_version_(options_.opa_version.empty() ? std::string(worker_opa_version())
                                                : options_.opa_version),
      processors_(worker_processors()),
      on_quarantine_(std::move(on_quarantine)),
      program_(worker_program(options_.worker)),
      core_(core_options(options_, processors_)),
      timer_(executor_) {}

void Engine::State::begin() {
  MutexLock lock(mutex_);
  core_.begin(now_ms());
  Rest rest = perform();
  lock.unlock();
  finish(std::move(rest), false);
}

void Engine::State::stop() {
  std::vector<std::function<void()>> callbacks;
  std::array<Worker, 2> workers;
  {
    const MutexLock lock(mutex_);
    is_stopped_ = true;
    timer_.cancel();
    for (auto& [ticket, asked] : asked_)
      callbacks.push_back([done = std::move(asked.done)] { done(std::unexpected(cancelled())); });
    for (auto& [number, done] : activations_)
      callbacks.push_back([d = std::move(done)] { d(std::unexpected(cancelled())); });
    for (auto& done : upgrades_)
      callbacks.push_back([d = std::move(done)] { d(std::unexpected(cancelled())); });
    for (auto& [number, done] : feeds_)
      callbacks.push_back([d = std::move(done)] { d(std::unexpected(cancelled())); });
    asked_.clear();
    feeds_.clear();
    activations_.clear();
    upgrades_.clear();
    workers = std::exchange(workers_, {});
  }
  for (auto& worker : workers)
    if (worker.link) worker.link->close();
  for (auto& callback : callbacks) callback();
}

TimeMs Engine::State::now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

uint64_t Engine::State::evaluate(Question question, DecisionDone done) {
  const size_t inputs = question.inputs.size();
  auto encoded = encode_question({.flags = question.flags,
                                  .path = question.path,
                                  .form = question.form,
                                  .explain = question.explain,
                                  .log_event = question.log_event,
                                  .presented = question.presented},
                                 question.inputs);
  MutexLock lock(mutex_);
  const uint64_t ticket = ++last_ticket_;
  if (!encoded || is_stopped_) {
    lock.unlock();
    asio::post(executor_, [error = encoded ? cancelled() : encoded.error(), d = std::move(done)] {
      d(std::unexpected(error));
    });
    return ticket;
  }
  asked_.emplace(ticket, Asked{std::move(*encoded), inputs, std::move(done)});
  core_.submit({ticket, std::move(question.path), std::move(question.caller), question.deadline_ms,
                static_cast<uint32_t>(inputs)},
               now_ms());
  Rest rest = perform();
  lock.unlock();
  finish(std::move(rest), false);
  return ticket;
}

void Engine::State::cancel(uint64_t ticket) {
  MutexLock lock(mutex_);
  if (is_stopped_) return;
  core_.cancel(ticket, now_ms());
  Rest rest = perform();
  lock.unlock();
  finish(std::move(rest), false);
}

void Engine::State::activate(SnapshotPtr snapshot, ActivationDone done) {
  auto contents = ledger_contents(*snapshot);
  MutexLock lock(mutex_);
  if (is_stopped_) {
    lock.unlock();
    return done(std::unexpected(cancelled()));
  }
  const uint64_t number = ++last_snapshot_;
  activations_.emplace(number, std::move(done));
  snapshots_.emplace(number, snapshot);
  core_.activate(number, {std::move(snapshot), std::move(contents), {}}, now_ms());
  Rest rest = perform();
  lock.unlock();
  finish(std::move(rest), false);
}

void Engine::State::replace_worker(std::string program, ActivationDone done) {
  MutexLock lock(mutex_);
  if (is_stopped_) {
    lock.unlock();
    return done(std::unexpected(cancelled()));
  }
  former_program_ = program_;
  if (!program.empty()) program_ = std::move(program);
  upgrades_.push_back(std::move(done));
  core_.upgrade(now_ms());
  Rest rest = perform();
  lock.unlock();
  finish(std::move(rest), false);
}

SnapshotPtr Engine::State::active() const {
  const MutexLock lock(mutex_);
  return core_.active();
}

EngineStatus Engine::State::status() const {
  const MutexLock lock(mutex_);
  EngineStatus status = core_.status();
  status.opa_version = opa_version_;
  status.units_compiled = units_compiled_;
  status.documents_patched = documents_patched_;
  status.patch_bytes = patch_bytes_;
  return status;
}

WorkerLink* Engine::State::link_of(WorkerRef ref) {
  Worker& worker = workers_[ref.slot];
  return worker.link && worker.ref == ref ? worker.link.get() : nullptr;
}

// Runs the core's effects. `answered`: the answer that was just passed to the core.
Engine::State::Rest Engine::State::perform(Answered* answered) {
  Rest rest;
  const auto touch = [&](const effect::Cancel& cancel) NOTP_REQUIRES(mutex_) {
    if (WorkerLink* link = link_of(cancel.worker)) {
      link->queue(encode_cancel(next_request_id(), cancel.wire_id));
      rest.to_flush.push_back(link->shared_from_this());
    }
  };
  struct Visitor {
    State& state;
    Rest& rest;
    Answered* answered;
    const std::function<void(const effect::Cancel&)>& cancel;
    void operator()(effect::Start& e) NOTP_REQUIRES(state.mutex_) { state.run(e, rest); }
    void operator()(effect::Kill& e) NOTP_REQUIRES(state.mutex_) {
      if (WorkerLink* link = state.link_of(e.worker)) link->kill();
    }
    void operator()(effect::SetNice& e) NOTP_REQUIRES(state.mutex_) {
      WorkerLink* link = state.link_of(e.worker);
      const bool done = link != nullptr && link->set_nice(e.low);
      state.core_.niced(e.worker, done ? e.low : !e.low, now_ms());
    }
    void operator()(effect::LeaveProcessor& e) NOTP_REQUIRES(state.mutex_) {
      if (WorkerLink* link = state.link_of(e.worker)) link->leave_processor(e.leaves);
    }
    void operator()(effect::Provision& e) NOTP_REQUIRES(state.mutex_) { state.run(e); }
    void operator()(effect::CancelProvision& e) NOTP_REQUIRES(state.mutex_) {
      const auto& provision = state.workers_[e.worker.slot].provision;
      if (!provision || provision->ref != e.worker) return;
      provision->is_cancelled = true;
      if (provision->id != 0) cancel({e.worker, provision->id});
    }
    void operator()(effect::Drop& e) NOTP_REQUIRES(state.mutex_) {
      Worker& worker = state.workers_[e.worker.slot];
      WorkerLink* link = state.link_of(e.worker);
      if (link == nullptr) return;
      link->queue(encode_drop(state.next_request_id()));
      rest.to_flush.push_back(link->shared_from_this());
      worker.held = 0;
      worker.snapshot.reset();
      worker.contents.clear();
    }
    void operator()(effect::Send& e) NOTP_REQUIRES(state.mutex_) { state.run(e, rest); }
    void operator()(effect::Cancel& e) NOTP_REQUIRES(state.mutex_) { cancel(e); }
    void operator()(effect::Look& e) NOTP_REQUIRES(state.mutex_) {
      if (WorkerLink* link = state.link_of(e.worker))
        state.core_.looked(e.worker, link->use(), state.workers_[e.worker.slot].budget_bytes,
                           now_ms());
    }
    void operator()(effect::Deliver& e) NOTP_REQUIRES(state.mutex_) {
      state.deliver(e, answered, rest);
    }
    void operator()(effect::Refuse& e) NOTP_REQUIRES(state.mutex_) { state.refuse(e, rest); }
    void operator()(effect::Activated& e) NOTP_REQUIRES(state.mutex_) {
      if (!e.result) state.snapshots_.erase(e.snapshot);
      if (e.result)
        state.snapshots_.erase(state.snapshots_.begin(), state.snapshots_.find(e.snapshot));
      auto done = state.activations_.extract(e.snapshot);
      if (done.empty()) return;
      rest.callbacks.push_back(
          [d = std::move(done.mapped()), result = std::move(e.result)] { d(result); });
    }
    void operator()(effect::Upgraded& e) NOTP_REQUIRES(state.mutex_) {
      if (!e.result && e.result.error().code != ErrorCode::kCancelled)
        state.program_ = state.former_program_;
      if (state.upgrades_.empty()) return;
      rest.callbacks.push_back(
          [d = std::move(state.upgrades_.front()), result = std::move(e.result)] { d(result); });
      state.upgrades_.pop_front();
    }
    void operator()(effect::Notice& e) NOTP_REQUIRES(state.mutex_) {
      if (!state.on_quarantine_) return;
      rest.callbacks.push_back([&f = state.on_quarantine_, self = state.shared_from_this(),
                                notice = std::move(e.notice)] { f(notice); });
    }
  };
  const std::function<void(const effect::Cancel&)> cancel = touch;
  Visitor visitor{*this, rest, answered, cancel};
  for (auto effects = core_.take_effects(); !effects.empty(); effects = core_.take_effects())
    for (Effect& each : effects) std::visit(visitor, each);
  arm();
  return rest;
}

void Engine::State::run(effect::Start& start, Rest&) {
  asio::post(executor_,
             [self = shared_from_this(), ref = start.worker] { self->start_worker(ref); });
}

void Engine::State::run(effect::Send& send, Rest& rest) {
  WorkerLink* link = link_of(send.worker);
  const auto asked = asked_.find(send.ticket);
  if (link == nullptr || asked == asked_.end()) return;
  link->queue(frame_of(send.wire_id, asked->second.encoded));
  rest.to_flush.push_back(link->shared_from_this());
}

void Engine::State::run(effect::Provision& wanted) {
  Worker& worker = workers_[wanted.worker.slot];
  if (link_of(wanted.worker) == nullptr) return;
  NOTP_ASSERT(!worker.provision, "a worker gets one snapshot after the other");
  auto provision = std::make_shared<Provision>();
  provision->ref = wanted.worker;
  provision->link = worker.link;
  provision->number = wanted.snapshot;
  provision->is_accepted = wanted.is_accepted;
  provision->target = snapshots_.at(wanted.snapshot);
  provision->base_number = worker.held;
  provision->base = worker.snapshot;
  provision->contents = std::move(worker.contents);
  worker.contents.clear();
  worker.provision = provision;
  asio::post(pool_, [self = shared_from_this(), provision] { self->provide(provision); });
}

void Engine::State::deliver(effect::Deliver& deliver, Answered* answered, Rest& rest) {
  auto asked = asked_.extract(deliver.ticket);
  if (asked.empty()) return;
  NOTP_ASSERT(answered != nullptr, "an answer is delivered when it came");
  Decision decision{
      std::move(deliver.snapshot), {}, answered->answer.time_ns, answered->answer.evaluation_ns};
  for (auto& input : answered->answer.inputs) {
    if (input.failure)
      decision.evaluations.push_back(
          std::unexpected(evaluation_error(input.failure->code, input.failure->message,
                                           input.failure->details, input.failure->extras)));
    else
      decision.evaluations.push_back(Evaluation{std::move(input.value), std::move(input.extras),
                                                input.has_input, input.rule_exists});
  }
  // A std::function must be copyable.
  auto shared = std::make_shared<Decision>(std::move(decision));
  rest.callbacks.push_back(
      [done = std::move(asked.mapped().done), shared] { done(std::move(*shared)); });
}

void Engine::State::refuse(effect::Refuse& refuse, Rest& rest) {
  auto asked = asked_.extract(refuse.ticket);
  if (asked.empty()) return;
  rest.callbacks.push_back([done = std::move(asked.mapped().done),
                            error = std::move(refuse.error)] { done(std::unexpected(error)); });
}

void Engine::State::arm() {
  if (is_stopped_) return;
  const TimeMs next = core_.next_deadline();
  if (next >= armed_ms_) return;
  armed_ms_ = next;
  timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::milliseconds(next)));
  timer_.async_wait([self = shared_from_this()](auto error) {
    if (!error) self->on_timer();
  });
}

void Engine::State::on_timer() {
  MutexLock lock(mutex_);
  if (is_stopped_) return;
  armed_ms_ = kNever;
  core_.expire(now_ms());
  Rest rest = perform();
  lock.unlock();
  finish(std::move(rest), true);
}

void Engine::State::finish(Rest rest, bool on_executor) {
  for (const auto& link : rest.to_flush) link->flush();
  if (rest.callbacks.empty()) return;
  if (on_executor) {
    for (auto& callback : rest.callbacks) callback();
    return;
  }
  asio::post(executor_, [callbacks = std::move(rest.callbacks)]() mutable {
    for (auto& callback : callbacks) callback();
  });
}

}  // namespace notp::rego
