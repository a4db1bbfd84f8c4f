// Decides which traces are recorded, as OTEL_TRACES_SAMPLER of OpenTelemetry says. Pure.
#pragma once

#include <optional>

#include "common/telemetry/trace_context.hpp"

namespace notp {

using TraceId = decltype(TraceContext::trace);
using SpanId = decltype(TraceContext::span);

struct Sampler {
  enum class Kind : uint8_t { kAlwaysOn, kAlwaysOff, kRatio };

  Kind kind = Kind::kAlwaysOn;
  double ratio = 1;             // with kRatio: 0 to 1
  bool is_parent_based = true;  // the parent's decision counts, where there is a parent

  // `parent`: its decision; nullopt: the trace begins here. The same trace id gives the same answer
  // in every program.
  bool samples(const TraceId& trace, std::optional<bool> parent = {}) const {
    if (is_parent_based && parent) return *parent;
    if (kind != Kind::kRatio) return kind == Kind::kAlwaysOn;
    return is_within(trace_number(trace), ratio);
  }

  // Whether a number that is equally likely to be any is within this part of all numbers.
  static bool is_within(uint64_t number, double part) {
    // 2^63 and its product are exact where 2^64 - 1 is not.
    return part >= 1 || static_cast<double>(number >> 1U) < part * 9223372036854775808.0;
  }
  // The end of the id: W3C Trace Context, Level 2, has it random.
  static uint64_t trace_number(const TraceId& trace) {
    uint64_t out = 0;
    for (size_t i = trace.size() - sizeof(out); i < trace.size(); ++i) out = out << 8U | trace[i];
    return out;
  }
};

}  // namespace notp
