#include "common/telemetry/traces.hpp"

#include <unistd.h>

#include "common/log.hpp"
#include "common/telemetry/trace_config.hpp"

namespace notp {

Traces::Traces(std::string_view program, const Environment& environment, SpanCounters counters,
               Report report) {
  TraceConfig config = TraceConfig::read(environment, program);
  if (report)
    for (const std::string& warning : config.warnings)
      report(notp::fail(ErrorCode::kConfig, warning));
  if (config.endpoint.empty()) return;
  config.source.resource.push_back({"process.pid", int64_t{::getpid()}});
  auto exporter = SpanExporter::start(config, environment, std::move(counters), report);
  if (!exporter) {
    if (report) report(std::unexpected(std::move(exporter).error().in("there are no traces")));
    return;
  }
  exporter_ = *std::move(exporter);
  tracer_ = Tracer(*exporter_, config.sampler, random_);
}

void Traces::begin_stop() {
  if (exporter_) exporter_->begin_stop();
}

void Traces::stop() {
  if (exporter_) exporter_->stop();
}

void log_trace_report(const Result<void>& report) {
  if (report) return log::info("traces_exported_again");
  const bool is_config = report.error().code == ErrorCode::kConfig;
  log::write(log::Level::kWarn, is_config ? "traces_misconfigured" : "traces_not_exported",
             report.error());
}

}  // namespace notp
