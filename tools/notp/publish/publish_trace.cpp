#include "tools/notp/publish/publish_trace.hpp"

#include <fmt/format.h>

#include <utility>

namespace notp::cli {

PublishTrace::PublishTrace(const Context& context, std::string_view command, bool is_on)
    : output_(context.output),
      traces_("notp", is_on ? context.environment : Environment(),
              SpanCounters(std::make_shared<prometheus::Registry>(), "notp_"),
              [reports = reports_](const Result<void>& report) { reports->add(report); }),
      root_(traces_.tracer().begin(command)) {
  for (const std::string& line : reports_->take()) output_.note(line);
}

PublishTrace::~PublishTrace() {
  root_.end();
  traces_.stop();
  for (const std::string& line : reports_->take()) output_.note(line);
}

void PublishTrace::set_release(const model::LedgerId& ledger, uint64_t version) {
  root_.set("notp.ledger", ledger.text());
  root_.set("notp.version", version);
}

void PublishTrace::Reports::add(const Result<void>& report) {
  if (report) return;
  const MutexLock lock(mutex_);
  lines_.push_back(report.error().code == ErrorCode::kConfig
                       ? "warning: " + report.error().message
                       : "note: the trace was not sent: " + report.error().message);
}

std::vector<std::string> PublishTrace::Reports::take() {
  const MutexLock lock(mutex_);
  return std::exchange(lines_, {});
}

}  // namespace notp::cli
