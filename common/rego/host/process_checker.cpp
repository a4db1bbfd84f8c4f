#include "common/rego/host/process_checker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "common/rego/host/checker_process.hpp"
#include "common/rego/host/content_frames.hpp"

namespace notp::rego {
namespace {

constexpr uint64_t kWarmMemoryBytes = 256ULL << 20;  // a larger one is not kept
constexpr size_t kReportBytesMax = 128 << 20;

std::string_view code_of(CheckStopped::Cause cause) {
  switch (cause) {
    case CheckStopped::Cause::kTime:
      return "time_limit_error";
    case CheckStopped::Cause::kMemory:
      return "memory_limit_error";
    default:
      return "engine_error";
  }
}

// Turns a process that its model made stop into a report.
CheckReport report_of(const CheckStopped& stopped) {
  CheckReport report;
  const std::string code(code_of(stopped.cause));
  if (stopped.running.empty())
    report.findings.push_back({"", 0, 0, code, "judging the model: " + stopped.why});
  for (const Progress& each : stopped.running) {
    const int row = static_cast<int>(std::min<uint32_t>(each.row, INT32_MAX));
    const std::string what = each.name.empty() ? "compiling" : "the test " + each.name;
    report.findings.push_back({each.path, row, row > 0 ? 1 : 0, code, what + ": " + stopped.why});
    if (each.name.empty()) continue;
    const size_t dot = std::min(each.name.rfind('.'), each.name.size());
    report.tests.push_back({each.name.substr(0, dot),
                            dot < each.name.size() ? each.name.substr(dot + 1) : each.name,
                            each.path, row, TestOutcome::kError, stopped.why});
  }
  return report;
}

// Whether another test that ran in parallel may be the cause.
bool is_uncertain(const CheckStopped& stopped) {
  if (stopped.cause == CheckStopped::Cause::kTime)
    return !stopped.running.empty() && !stopped.was_alone;
  return stopped.running.size() > 1;
}

ContentNeed need_of(const CheckModule& module) { return {module.hash, true, {}, {}}; }

std::set<Hash> hashes_of(const std::vector<CheckModule>& modules) {
  std::set<Hash> hashes;
  for (const auto& module : modules) hashes.insert(module.hash);
  return hashes;
}

uint64_t module_bytes(const std::vector<CheckModule>& modules) {
  uint64_t bytes = 0;
  for (const auto& module : modules) bytes += module.bytes;
  return bytes;
}

}  // namespace

// The validation of one model in one process.
class ProcessChecker::Judgement {
 public:
  Judgement(const CheckerOptions& options, const CheckRequest& request,
            const CheckKnowledge& knowledge, TimeMs end_ms, CheckerProcess& process)
      : request_(request), knowledge_(knowledge), process_(process) {
    uint64_t documents = 0;
    for (const auto& document : request.documents) {
      documents += document.bytes;
      std::optional<Hash> before;
      if (const auto earlier = request.before.find(document.path); earlier != request.before.end())
        before = earlier->second;
      needs_[document.hash] = {document.hash, false, document.format, before};
    }
    for (const auto& module : request.modules) needs_[module.hash] = need_of(module);
    bounds_ = {options.memory_bytes + limits::kWorkerBytesPerDataByte * documents +
                   limits::kWorkerBytesPerModuleByte * module_bytes(request.modules),
               options.all_ms, options.test_ms, options.still_ms, end_ms};
    times_ = {options.test_ms, options.tests_ms};
  }

  using Outcome = std::variant<DecodedReport, CheckStopped>;
  Result<Outcome> run(bool one_by_one) {
    process_.limit_memory(bounds_.memory_bytes);
    const auto text =
        std::make_shared<const Bytes>(encode_check(request_, knowledge_, times_, one_by_one));
    for (size_t round = 0; round < limits::kCheckRoundsMax; ++round) {
      const uint32_t id = process_.next_id();
      auto answer = process_.ask(id, encode_text(id, Operation::kCheck, text), bounds_);
      if (auto* stopped = std::get_if<CheckStopped>(&answer)) return Outcome(std::move(*stopped));
      NOTP_ASSIGN(auto decoded, decode(std::get<Bytes>(answer)));
      if (decoded.want.empty()) return Outcome(std::move(decoded));
      for (const Hash& hash : decoded.want) NOTP_TRY(stage(hash));
    }
    return fail(ErrorCode::kInternal, "the policy worker asks for content again and again");
  }

 private:
  static Result<DecodedReport> decode(const Bytes& answer) {
    NOTP_ASSIGN(const auto status, decode_status(answer));
    if (const auto* failure = std::get_if<Failure>(&status))
      return fail(ErrorCode::kInternal,
                  "the policy worker cannot judge: " + failure->code + ": " + failure->message);
    NOTP_ASSIGN(const auto text, decode_text(std::get<ByteView>(status), kReportBytesMax));
    return decode_report(text);
  }

  Result<void> stage(const Hash& hash) {
    const auto need = needs_.find(hash);
    if (need == needs_.end())
      return fail(ErrorCode::kInternal, "the policy worker asks for content of no file");
    const bool holds_before =
        need->second.before && process_.contents.contains(*need->second.before);
    NOTP_ASSIGN(auto content, content_frame(need->second, request_.load,
                                            holds_before ? &request_.load : nullptr));
    process_.queue(std::move(content.frame));
    process_.contents.insert(hash);
    return {};
  }

  const CheckRequest& request_;
  const CheckKnowledge& knowledge_;
  CheckerProcess& process_;
  std::map<Hash, ContentNeed> needs_;
  CheckBounds bounds_;
  CheckTimes times_;
};

ProcessChecker::ProcessChecker(CheckerOptions options)
    : options_([&] {
        options.worker = worker_program(options.worker);
        if (options.opa_version.empty()) options.opa_version = worker_opa_version();
        return std::move(options);
      }()) {}

ProcessChecker::~ProcessChecker() {
  {
    const MutexLock lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  if (keeper_.joinable()) keeper_.join();
}

Result<CheckReport> ProcessChecker::check(const CheckRequest& request) {
  std::set<Hash> contents = hashes_of(request.modules);
  for (const auto& document : request.documents) contents.insert(document.hash);
  const CheckKnowledge knowledge = memory_.recall(request);
  const TimeMs end_ms = steady_ms() + options_.wall_ms;
  bool one_by_one = false;
  for (size_t restarts = 0;;) {
    NOTP_ASSIGN(ProcessPtr process, acquire(contents));
    NOTP_ASSIGN(auto outcome,
                Judgement(options_, request, knowledge, end_ms, *process).run(one_by_one));
    if (auto* decoded = std::get_if<DecodedReport>(&outcome)) {
      release(std::move(process), contents);
      memory_.learn(request, knowledge, decoded->learnt);
      return std::move(decoded->report);
    }
    const auto& stopped = std::get<CheckStopped>(outcome);
    if (stopped.cause == CheckStopped::Cause::kBusy)
      return fail(ErrorCode::kUnavailable, stopped.why);
    if (stopped.cause == CheckStopped::Cause::kOutside) {
      if (++restarts > limits::kCheckRestartsMax) return fail(ErrorCode::kUnavailable, stopped.why);
    } else if (!one_by_one && is_uncertain(stopped)) {
      one_by_one = true;
    } else {
      return report_of(stopped);
    }
  }
}

Result<std::vector<Bytes>> ProcessChecker::undefined_functions(
    const std::vector<CheckModule>& callers, const std::vector<CheckModule>& missing,
    const ContentLoader& load) {
  std::set<Hash> contents = hashes_of(callers);
  contents.merge(hashes_of(missing));
  const CheckBounds bounds{
      options_.memory_bytes +
          limits::kWorkerBytesPerModuleByte * (module_bytes(callers) + module_bytes(missing)),
      options_.all_ms, options_.test_ms, options_.still_ms, steady_ms() + options_.wall_ms};
  for (size_t restarts = 0;; ++restarts) {
    NOTP_ASSIGN(ProcessPtr process, acquire(contents));
    process->limit_memory(bounds.memory_bytes);
    for (const auto* modules : {&callers, &missing}) {
      for (const auto& module : *modules) {
        if (!process->contents.insert(module.hash).second) continue;
        NOTP_ASSIGN(auto content, content_frame(need_of(module), load, nullptr));
        process->queue(std::move(content.frame));
      }
    }
    const uint32_t id = process->next_id();
    const auto answer =
        process->ask(id,
                     encode_text(id, Operation::kStubs,
                                 std::make_shared<const Bytes>(encode_stubs(callers, missing))),
                     bounds);
    if (const auto* stopped = std::get_if<CheckStopped>(&answer)) {
      const bool is_outside = stopped->cause == CheckStopped::Cause::kOutside;
      if (is_outside && restarts < limits::kCheckRestartsMax) continue;
      const bool is_busy = stopped->cause == CheckStopped::Cause::kBusy;
      return fail(is_outside || is_busy ? ErrorCode::kUnavailable : ErrorCode::kInternal,
                  stopped->why);
    }
    NOTP_ASSIGN(const auto status, decode_status(std::get<Bytes>(answer)));
    if (const auto* failure = std::get_if<Failure>(&status))
      return fail(ErrorCode::kInternal, failure->code + ": " + failure->message);
    NOTP_ASSIGN(const auto text, decode_text(std::get<ByteView>(status), kReportBytesMax));
    NOTP_ASSIGN(auto stubs, decode_stubs(text));
    release(std::move(process), contents);
    return stubs;
  }
}

// Returns the warm process with most of the content, or a new one.
Result<ProcessChecker::ProcessPtr> ProcessChecker::acquire(const std::set<Hash>& contents) {
  {
    const MutexLock lock(mutex_);
    std::erase_if(warm_, [](const Warm& each) { return !each.process->is_alive(); });
    const auto best = std::ranges::max_element(warm_, {}, [&](const Warm& each) {
      return std::ranges::count_if(each.process->contents,
                                   [&](const Hash& hash) { return contents.contains(hash); });
    });
    if (best != warm_.end()) {
      ProcessPtr process = std::move(best->process);
      warm_.erase(best);
      return process;
    }
  }
  return start();
}

void ProcessChecker::release(ProcessPtr process, const std::set<Hash>& contents) {
  if (process->memory_bytes() > kWarmMemoryBytes) return;
  std::vector<Hash> old;
  for (const Hash& hash : process->contents)
    if (!contents.contains(hash)) old.push_back(hash);
  if (!old.empty()) process->queue(encode_forget(process->next_id(), old));
  for (const Hash& hash : old) process->contents.erase(hash);
  const MutexLock lock(mutex_);
  if (warm_.size() >= limits::kWarmCheckersMax) return;
  warm_.push_back({std::move(process), steady_ms() + limits::kWarmCheckerMs});
  changed_.notify_all();
}

Result<ProcessChecker::ProcessPtr> ProcessChecker::start() {
  std::promise<Result<ProcessPtr>> started;
  auto future = started.get_future();
  {
    const MutexLock lock(mutex_);
    if (!keeper_.joinable()) keeper_ = std::thread([this] { keep(); });
    starts_.push_back(&started);
  }
  changed_.notify_all();
  return future.get();
}

void ProcessChecker::keep() {
  MutexLock lock(mutex_);
  while (!is_ending_) {
    if (!starts_.empty()) {
      auto* const started = starts_.back();
      starts_.pop_back();
      lock.unlock();
      started->set_value(CheckerProcess::start(
          {options_.worker, options_.memory_bytes + limits::kWorkerDataSlackBytes,
           worker_processors(), 64 << 20, false, true},
          options_.opa_version));
      lock.lock();
      continue;
    }
    std::vector<Warm> expired;
    const int64_t now = steady_ms();
    for (auto& each : warm_)
      if (each.until_ms <= now) expired.push_back(std::move(each));
    std::erase_if(warm_, [](const Warm& each) { return each.process == nullptr; });
    if (!expired.empty()) {
      lock.unlock();
      expired.clear();
      lock.lock();
      continue;
    }
    if (warm_.empty())
      changed_.wait(lock);
    else
      changed_.wait_for(lock,
                        std::chrono::milliseconds(
                            std::ranges::min_element(warm_, {}, &Warm::until_ms)->until_ms - now));
  }
  warm_.clear();
}

}  // namespace notp::rego
