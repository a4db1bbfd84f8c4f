#include "common/rego/host/replayer.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "common/rego/host/activation.hpp"
#include "common/rego/host/checker_process.hpp"
#include "common/rego/host/content_frames.hpp"
#include "common/rego/host/engine_core.hpp"
#include "common/rego/host/frames.hpp"
#include "common/rego/host/worker_process.hpp"

namespace notp::rego {
namespace {

std::unexpected<Error> not_activated(const Failure& failure) {
  if (failure.code == "rejected") return std::unexpected(rejection_of(failure.message));
  return fail(ErrorCode::kInternal, fmt::format("the policy worker cannot activate: {}: {}",
                                                failure.code, failure.message));
}

// OPA's code of the first error; that of the product if OPA has none.
std::string code_of(const Error& error) {
  const auto errors = parse_json(evaluation_errors(error));
  const json::array* const list = errors ? errors->if_array() : nullptr;
  const json::object* const first = list && !list->empty() ? list->front().if_object() : nullptr;
  const json::value* const code = first ? first->if_contains("code") : nullptr;
  return code && code->is_string() ? std::string(code->get_string())
                                   : std::string(error_traits(error.code).name);
}

Result<Replayed> replayed(const Failure& failure) {
  if (failure.code == "unrecorded") return Replayed{.unrecorded = {failure.message}};
  if (failure.code == "recorded" || failure.code == "frame")
    return fail(ErrorCode::kMessage, failure.message);
  if (failure.code == "operation")
    return fail(ErrorCode::kUnavailable,
                "the policy worker cannot replay: install the one that came with this program");
  Error error = evaluation_error(failure.code, failure.message, failure.details, {});
  if (error.code != ErrorCode::kInvalidModel) return std::unexpected(std::move(error));
  std::string code = code_of(error);
  return Replayed{.error = std::move(error), .error_code = std::move(code)};
}

}  // namespace

Replayer::Replayer(ReplayOptions options)
    : options_([&] {
        options.worker = worker_program(options.worker);
        if (options.opa_version.empty()) options.opa_version = worker_opa_version();
        return std::move(options);
      }()) {}

Replayer::~Replayer() = default;

Result<std::unique_ptr<Replayer>> Replayer::start(SnapshotPtr snapshot, ReplayOptions options) {
  std::unique_ptr<Replayer> replayer(new Replayer(std::move(options)));
  replayer->snapshot_ = std::move(snapshot);
  NOTP_TRY(replayer->start_worker());
  NOTP_TRY(replayer->load());
  return replayer;
}

Result<void> Replayer::start_worker() {
  held_ = nullptr;
  number_ = 0;
  module_bytes_.clear();
  budget_bytes_ = options_.memory_bytes;
  NOTP_ASSIGN(process_, CheckerProcess::start(
                            {.program = options_.worker,
                             .data_bytes_max = budget_bytes_ + limits::kWorkerDataSlackBytes,
                             .processors = worker_processors(),
                             .result_bytes_max = options_.result_bytes_max,
                             .is_nice = true},
                            options_.opa_version));
  return {};
}

Result<void> Replayer::activate(SnapshotPtr snapshot) {
  snapshot_ = std::move(snapshot);
  // A worker that was lost is started with the next question.
  return process_ ? load() : Result<void>();
}

// Sends what the worker lacks. Its budget grants both snapshots, which it holds for a while.
Result<void> Replayer::stage(const Snapshot& target, const std::vector<ContentNeed>& needs) {
  for (const ContentNeed& need : needs) {
    if (process_->contents.contains(need.hash)) continue;
    const bool holds_before = need.before && held_ && process_->contents.contains(*need.before);
    NOTP_ASSIGN(auto content,
                content_frame(need, target.load, holds_before ? &held_->load : nullptr));
    process_->queue(std::move(content.frame));
    process_->contents.insert(need.hash);
    if (need.is_module) module_bytes_[need.hash] = content.bytes;
  }
  uint64_t modules = 0;
  for (const auto& [hash, bytes] : module_bytes_) modules += limits::kWorkerModuleOwnBytes + bytes;
  const uint64_t documents = document_bytes(target) + (held_ ? document_bytes(*held_) : 0);
  budget_bytes_ = options_.memory_bytes + limits::kWorkerBytesPerDataByte * documents +
                  limits::kWorkerBytesPerModuleByte * modules;
  process_->limit_memory(budget_bytes_);
  return {};
}

// Makes the worker decide with snapshot_.
Result<void> Replayer::load() {
  const uint64_t number = number_ + 1;
  Activation plan = plan_activation(number, *snapshot_, number_, held_.get(), options_.is_accepted);
  const auto payload = std::make_shared<const Bytes>(std::move(plan.payload));
  for (int round = 0;; ++round) {
    NOTP_TRY(stage(*snapshot_, plan.needs));
    const uint32_t id = process_->next_id();
    NOTP_ASSIGN(const Bytes answer,
                ask(id, frame_of(id, Operation::kActivate, payload), options_.activate_ms));
    NOTP_ASSIGN(const auto status, decode_status(answer));
    if (std::holds_alternative<ByteView>(status)) break;
    const auto& failure = std::get<Failure>(status);
    if (failure.code != "missing" || round == kActivationRoundsMax) return not_activated(failure);
    NOTP_ASSIGN(const std::vector<Hash> missing, decode_missing(failure.message));
    for (const Hash& hash : missing) process_->contents.erase(hash);
    plan.needs = needs_of(*snapshot_, missing);
  }
  number_ = number;
  held_ = snapshot_;
  process_->contents = contents_of(*held_);
  std::erase_if(module_bytes_,
                [&](const auto& each) { return !process_->contents.contains(each.first); });
  return {};
}

Result<Bytes> Replayer::ask(uint32_t id, OutgoingFrame frame, int64_t wall_ms) {
  // A bound of processor time would only come later than that of wall time: its threads share it.
  constexpr int64_t kNoBound = INT64_MAX / 4'000;
  const CheckBounds bounds{.memory_bytes = budget_bytes_,
                           .all_ms = kNoBound,
                           .test_ms = kNoBound,
                           .still_ms = kNoBound,
                           .end_ms = steady_ms() + wall_ms};
  auto answer = process_->ask(id, std::move(frame), bounds);
  if (auto* payload = std::get_if<Bytes>(&answer)) return std::move(*payload);
  const auto& stopped = std::get<CheckStopped>(answer);
  process_.reset();
  was_killed_ = stopped.cause == CheckStopped::Cause::kOutside;
  if (stopped.cause == CheckStopped::Cause::kBusy)
    return fail(ErrorCode::kTimeout, fmt::format("it was not done within {} ms", wall_ms));
  if (stopped.cause == CheckStopped::Cause::kMemory)
    return fail(ErrorCode::kLimit, "the policy worker that replays was stopped: " + stopped.why);
  return fail(ErrorCode::kUnavailable, "the policy worker that replays has ended: " + stopped.why);
}

Result<Replayed> Replayer::evaluate(const RecordedQuestion& question, int64_t deadline_ms) {
  return answer(question, {}, deadline_ms);
}

Result<bool> Replayer::depends(const RecordedQuestion& question, const Paths& hidden,
                               int64_t deadline_ms) {
  if (hidden.empty()) return false;
  NOTP_ASSIGN(const Replayed said, answer(question, hidden, deadline_ms));
  return said.result != "false";
}

Result<Replayed> Replayer::answer(const RecordedQuestion& question, const Paths& hidden,
                                  int64_t deadline_ms) {
  while (true) {
    if (!process_) {
      if (restarts_ == kReplayRestartsMax)
        return fail(ErrorCode::kUnavailable,
                    fmt::format("the policy worker that replays was lost {} times: it is not "
                                "started again",
                                restarts_ + 1));
      ++restarts_;
      NOTP_TRY(start_worker());
    }
    if (held_ != snapshot_) NOTP_TRY(load());
    was_killed_ = false;
    auto said = answer_once(question, hidden, deadline_ms);
    // Who is killed from outside has not shown that the question is at fault.
    if (said || !was_killed_) return said;
  }
}

Result<Replayed> Replayer::answer_once(const RecordedQuestion& question, const Paths& hidden,
                                       int64_t deadline_ms) {
  const EvalRequest request{.time_ns = question.eval_time_ns,
                            .flags = question.is_strict ? kStrictBuiltinErrors : 0U,
                            .path = question.path};
  const uint32_t id = process_->next_id();
  NOTP_ASSIGN(auto frame, encode_replay(id, request, question.input, hidden,
                                        std::make_shared<const Bytes>(question.nd_builtin_cache)));
  NOTP_ASSIGN(const Bytes payload, ask(id, std::move(frame), deadline_ms));
  NOTP_ASSIGN(const auto status, decode_status(payload));
  if (const auto* failure = std::get_if<Failure>(&status)) return replayed(*failure);
  NOTP_ASSIGN(EvalAnswer evaluated,
              decode_evaluated(std::get<ByteView>(status), options_.result_bytes_max));
  if (evaluated.snapshot != number_)
    return fail(ErrorCode::kInternal, "the policy worker decided with another snapshot");
  return Replayed{.result = std::move(evaluated.inputs.front().value)};
}

}  // namespace notp::rego
