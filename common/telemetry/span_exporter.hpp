// Sends ended spans to a collector, in batches, from a thread of its own. Nothing waits for the
// collector: what it does not take in time is dropped and counted.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>

#include "common/clock.hpp"
#include "common/config.hpp"
#include "common/http/client.hpp"
#include "common/telemetry/span.hpp"
#include "common/telemetry/trace_config.hpp"

namespace notp {

// Ended spans that wait: some 600 B each.
inline constexpr size_t kSpansWaitingMax = 2'048;
// In one request, and how long the first of them waits for others.
inline constexpr size_t kSpanBatchMax = 512;
inline constexpr TimeMs kSpanBatchMs = 1'000;
// Attempts to deliver a batch, and the pauses between them where the collector names none: the
// first one, doubled up to the last, each shortened by up to half at random.
inline constexpr int kExportAttemptsMax = 5;
inline constexpr TimeMs kExportPauseFirstMs = 1'000;
inline constexpr TimeMs kExportPauseLastMs = 30'000;
// How long the end of a program may wait for its last spans.
inline constexpr TimeMs kTraceFlushMs = 500;

// Spans since the start. Each ended, sampled span is in one of them, or waits. They are metrics of
// a registry, which they keep alive: the exporter's thread may outlive the program's parts.
class SpanCounters {
 public:
  // `prefix` of their names: "notp_" or "notp_agent_".
  SpanCounters(std::shared_ptr<prometheus::Registry> registry, const std::string& prefix);

  void exported(size_t spans) { exported_.Increment(static_cast<double>(spans)); }
  // The collector did not take them.
  void failed(size_t spans) { failed_.Increment(static_cast<double>(spans)); }
  // They were not sent: the queue was full, or the program ended.
  void dropped(size_t spans) { dropped_.Increment(static_cast<double>(spans)); }

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Counter& exported_;
  prometheus::Counter& failed_;
  prometheus::Counter& dropped_;
};

class SpanExporter final : public SpanSink {
 public:
  // Told when deliveries begin to fail, with the error, and when they succeed again; on the
  // exporter's thread. May be empty.
  using OnChange = std::function<void(const Result<void>&)>;

  // Begins. `config` has an endpoint; `environment` may name a proxy for https. kConfig: a file of
  // the configuration cannot be used; kInternal: no thread can be started.
  static Result<std::unique_ptr<SpanExporter>> start(const TraceConfig& config,
                                                     Environment environment, SpanCounters counters,
                                                     OnChange on_change);
  ~SpanExporter() override;  // stops
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;

  // Thread-safe; does not block. The span is dropped while kSpansWaitingMax wait.
  void add(SpanRecord span) override;

  // Sends what waits without a pause for further spans; later ones are dropped. Does not block.
  void begin_stop();
  // Waits for begin_stop()'s last request at most until `wait_ms` after it, and drops the rest. A
  // name server that does not answer may keep the thread longer: it owns all that it touches, and
  // is not waited for. A second call does nothing.
  void stop(TimeMs wait_ms = kTraceFlushMs);

 private:
  struct State;
  explicit SpanExporter(std::shared_ptr<State> state) : state_(std::move(state)) {}

  const std::shared_ptr<State> state_;
};

}  // namespace notp
