// The trace of one publish, which registry and nodes go on with: common/telemetry/trace_config.hpp
// names the variables that turn it on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "common/telemetry/traces.hpp"
#include "tools/notp/command.hpp"

namespace notp::cli {

// One thread. Its end waits for the collector, at most kTraceFlushMs: call it when the user has
// seen the result.
class PublishTrace {
 public:
  // `command` names the span that everything else is below: "notp publish". With `is_on` false,
  // and without a collector, no spans are recorded.
  PublishTrace(const Context& context, std::string_view command, bool is_on = true);
  ~PublishTrace();
  PublishTrace(const PublishTrace&) = delete;
  PublishTrace& operator=(const PublishTrace&) = delete;

  // A step of the publish.
  Span step(std::string_view name, SpanKind kind = SpanKind::kInternal) const {
    return root_.child(name, kind);
  }
  void set_release(const model::LedgerId& ledger, uint64_t version);
  // Ends the span of the command.
  void end_with(const Result<int>& outcome) { root_.end_with(outcome); }

 private:
  // Lines for the user. The exporter's thread adds some.
  class Reports {
   public:
    void add(const Result<void>& report);
    std::vector<std::string> take();

   private:
    Mutex mutex_;
    std::vector<std::string> lines_ NOTP_GUARDED_BY(mutex_);
  };

  const Output& output_;
  const std::shared_ptr<Reports> reports_ = std::make_shared<Reports>();
  Traces traces_;
  Span root_;
};

}  // namespace notp::cli
