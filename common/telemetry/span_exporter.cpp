#include "common/telemetry/span_exporter.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <deque>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>

#include "common/mutex.hpp"
#include "common/telemetry/export_answer.hpp"
#include "common/telemetry/followed_counter.hpp"

namespace notp {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr size_t kAnswerBytesMax = 64 << 10;
// For the thread to leave an abandoned request: no library is in use when the process ends.
constexpr TimeMs kAbandonMs = 100;

}  // namespace

SpanCounters::SpanCounters(std::shared_ptr<prometheus::Registry> registry,
                           const std::string& prefix)
    : registry_(std::move(registry)),
      exported_(counter(*registry_, (prefix + "traces_exported_total").c_str(),
                        "Spans of traces that the collector has taken.")),
      failed_(counter(*registry_, (prefix + "traces_failed_total").c_str(),
                      "Spans that the collector has refused, or not taken in time.")),
      dropped_(counter(*registry_, (prefix + "traces_dropped_total").c_str(),
                       "Spans that were not sent, because too many waited.")) {}

// Shared by the exporter and its thread, which may outlive it.
struct SpanExporter::State {
  State(http::Client its_client, const TraceConfig& config, SpanCounters its_counters,
        OnChange its_on_change)
      : client(std::move(its_client)),
        endpoint(config.endpoint),
        headers(config.headers),
        timeout_ms(config.timeout_ms),
        source(config.source),
        on_change(std::move(its_on_change)),
        counters(std::move(its_counters)) {
    headers.emplace_back("Content-Type", "application/json");
  }

  void run();
  // Waits for spans; empty: there will be none.
  std::vector<SpanRecord> next_batch();
  void deliver(const std::vector<SpanRecord>& batch);
  // nullopt: abandoned.
  std::optional<Result<http::Response>> send(const Bytes& body);
  void took(const std::vector<SpanRecord>& batch, const ExportVerdict& verdict);
  void failed(const std::vector<SpanRecord>& batch, const std::string& why);
  // Returns false when the program ends meanwhile.
  bool pause(TimeMs pause_ms);
  // Of the thread.
  void wait_for_end(MutexLock& lock, steady_clock::time_point until) NOTP_REQUIRES(mutex);

  const http::Client client;
  const std::string endpoint;
  http::Headers headers;  // constant after the start
  const int64_t timeout_ms;
  const SpanSource source;
  const OnChange on_change;
  SpanCounters counters;
  SystemRandom random;
  bool is_failing = false;  // of the thread

  Mutex mutex;
  ConditionVariable changed;
  std::deque<SpanRecord> waiting NOTP_GUARDED_BY(mutex);
  asio::io_context* sending NOTP_GUARDED_BY(mutex) = nullptr;  // null: no request is under way
  std::optional<steady_clock::time_point> stopped_at NOTP_GUARDED_BY(mutex);
  bool is_abandoned NOTP_GUARDED_BY(mutex) = false;
  bool has_ended NOTP_GUARDED_BY(mutex) = false;  // the thread
};

void SpanExporter::State::run() {
  for (auto batch = next_batch(); !batch.empty(); batch = next_batch()) deliver(batch);
  const MutexLock lock(mutex);
  has_ended = true;
  changed.notify_all();
}

std::vector<SpanRecord> SpanExporter::State::next_batch() {
  MutexLock lock(mutex);
  while (waiting.empty() && !stopped_at) changed.wait(lock);
  const auto full_at = steady_clock::now() + milliseconds(kSpanBatchMs);
  while (waiting.size() < kSpanBatchMax && !stopped_at)
    if (changed.wait_until(lock, full_at) == std::cv_status::timeout) break;
  if (is_abandoned) return {};
  const auto end =
      waiting.begin() + static_cast<ptrdiff_t>(std::min(waiting.size(), kSpanBatchMax));
  std::vector<SpanRecord> batch(std::make_move_iterator(waiting.begin()),
                                std::make_move_iterator(end));
  waiting.erase(waiting.begin(), end);
  return batch;
}

void SpanExporter::State::deliver(const std::vector<SpanRecord>& batch) {
  const Bytes body = otlp_request(source, batch);
  TimeMs pause_ms = kExportPauseFirstMs;
  for (int attempt = 1;; ++attempt) {
    const auto answer = send(body);
    if (!answer) {
      counters.dropped(batch.size());
      return;
    }
    const ExportVerdict verdict = judge_export(*answer, read_clock().wall_ms);
    if (verdict.kind == ExportVerdict::Kind::kTaken) return took(batch, verdict);
    const bool is_last =
        verdict.kind == ExportVerdict::Kind::kRefused || attempt == kExportAttemptsMax;
    if (!is_last) {
      if (!is_failing && on_change) on_change(fail(ErrorCode::kUnavailable, verdict.why));
      is_failing = true;
    }
    const TimeMs own_ms = pause_ms - static_cast<TimeMs>(random.below(pause_ms / 2));
    if (is_last || !pause(std::max(verdict.pause_ms, own_ms))) return failed(batch, verdict.why);
    pause_ms = std::min(2 * pause_ms, kExportPauseLastMs);
  }
}

std::optional<Result<http::Response>> SpanExporter::State::send(const Bytes& body) {
  asio::io_context context(1);
  {
    const MutexLock lock(mutex);
    if (is_abandoned) return std::nullopt;
    sending = &context;
  }
  std::optional<Result<http::Response>> outcome;
  asio::co_spawn(context,
                 client.call({.method = "POST",
                              .url = endpoint,
                              .headers = headers,
                              .body = body,
                              .deadline_ms = timeout_ms,
                              .answer_bytes_max = kAnswerBytesMax}),
                 [&](const std::exception_ptr& exception, Result<http::Response> answer) {
                   if (exception)
                     outcome = fail(ErrorCode::kInternal, "the request ended by an exception");
                   else
                     outcome = std::move(answer);
                 });
  context.run();
  const MutexLock lock(mutex);
  sending = nullptr;
  return outcome;
}

void SpanExporter::State::took(const std::vector<SpanRecord>& batch, const ExportVerdict& verdict) {
  const size_t rejected = std::min<uint64_t>(verdict.rejected, batch.size());
  counters.failed(rejected);
  counters.exported(batch.size() - rejected);
  if (is_failing && on_change) on_change({});
  is_failing = false;
}

void SpanExporter::State::failed(const std::vector<SpanRecord>& batch, const std::string& why) {
  counters.failed(batch.size());
  if (!is_failing && on_change) on_change(fail(ErrorCode::kUnavailable, why));
  is_failing = true;
}

bool SpanExporter::State::pause(TimeMs pause_ms) {
  const auto until = steady_clock::now() + milliseconds(pause_ms);
  MutexLock lock(mutex);
  while (!stopped_at)
    if (changed.wait_until(lock, until) == std::cv_status::timeout) return !stopped_at;
  return false;
}

void SpanExporter::State::wait_for_end(MutexLock& lock, steady_clock::time_point until) {
  while (!has_ended)
    if (changed.wait_until(lock, until) == std::cv_status::timeout) return;
}

Result<std::unique_ptr<SpanExporter>> SpanExporter::start(const TraceConfig& config,
                                                          Environment environment,
                                                          SpanCounters counters,
                                                          OnChange on_change) {
  NOTP_ASSIGN(
      http::Client client,
      http::Client::open({.tls = config.tls, .proxy = {}, .environment = std::move(environment)}));
  auto state =
      std::make_shared<State>(std::move(client), config, std::move(counters), std::move(on_change));
  try {
    std::thread([state] { state->run(); }).detach();
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kInternal, std::string("no thread for traces: ") + error.what());
  }
  return std::unique_ptr<SpanExporter>(new SpanExporter(std::move(state)));
}

SpanExporter::~SpanExporter() { stop(); }

void SpanExporter::add(SpanRecord span) {
  bool is_worth_waking = false;
  {
    const MutexLock lock(state_->mutex);
    if (state_->stopped_at || state_->waiting.size() == kSpansWaitingMax) {
      state_->counters.dropped(1);
      return;
    }
    state_->waiting.push_back(std::move(span));
    is_worth_waking = state_->waiting.size() == 1 || state_->waiting.size() >= kSpanBatchMax;
  }
  if (is_worth_waking) state_->changed.notify_all();
}

void SpanExporter::begin_stop() {
  const MutexLock lock(state_->mutex);
  if (!state_->stopped_at) state_->stopped_at = steady_clock::now();
  state_->changed.notify_all();
}

void SpanExporter::stop(TimeMs wait_ms) {
  begin_stop();
  MutexLock lock(state_->mutex);
  if (state_->is_abandoned) return;
  state_->wait_for_end(lock, *state_->stopped_at + milliseconds(wait_ms));
  state_->is_abandoned = true;
  if (state_->sending != nullptr) state_->sending->stop();
  state_->counters.dropped(state_->waiting.size());
  state_->waiting.clear();
  state_->wait_for_end(lock, steady_clock::now() + milliseconds(kAbandonMs));
}

}  // namespace notp
