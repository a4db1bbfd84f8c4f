// Traces of one program: its tracer, and the exporter behind it. OpenTelemetry's environment
// variables turn them on: TraceConfig lists these.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/random.hpp"
#include "common/telemetry/span.hpp"
#include "common/telemetry/span_exporter.hpp"

namespace notp {

class Traces {
 public:
  // Receives what a person should know: a wrong variable, a collector that takes nothing, and (a
  // success) one that takes spans again. On the exporter's thread, except for wrong variables.
  using Report = std::function<void(const Result<void>&)>;

  // Off unless the variables name a collector. `program` is the service's name when they name none.
  // The counters are zero while traces are off.
  Traces(std::string_view program, const Environment& environment, SpanCounters counters,
         Report report);

  // Begins nothing while traces are off.
  const Tracer& tracer() const { return tracer_; }
  // As in SpanExporter.
  void begin_stop();
  void stop();

 private:
  SystemRandom random_;
  std::unique_ptr<SpanExporter> exporter_;
  Tracer tracer_;
};

// Logs what a daemon reports: traces_misconfigured, traces_not_exported, traces_exported_again.
void log_trace_report(const Result<void>& report);

}  // namespace notp
