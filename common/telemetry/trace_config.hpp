// Where traces go and which: from the environment variables of OpenTelemetry (its specification's
// "Environment Variable Specification" and "OTLP Exporter Configuration"). Pure.
//
//   OTEL_SDK_DISABLED                              true: no traces
//   OTEL_TRACES_EXPORTER                           otlp, or none: no traces
//   OTEL_EXPORTER_OTLP_TRACES_ENDPOINT             the URL, as it is
//   OTEL_EXPORTER_OTLP_ENDPOINT                    else this one, and /v1/traces below it
//   OTEL_EXPORTER_OTLP_[TRACES_]HEADERS            name=value, name=value; percent-encoded values
//   OTEL_EXPORTER_OTLP_[TRACES_]TIMEOUT            milliseconds for a request; 10,000
//   OTEL_EXPORTER_OTLP_[TRACES_]CERTIFICATE        authorities of an https endpoint, PEM
//   OTEL_EXPORTER_OTLP_[TRACES_]CLIENT_CERTIFICATE, …_CLIENT_KEY   shown to it, PEM
//   OTEL_EXPORTER_OTLP_[TRACES_]PROTOCOL           http/json; others are not spoken
//   OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES    what the spans say of this process
//   OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG   see Sampler
//
// A variable for traces counts more than the one without TRACES_; an empty one is not set. Without
// an endpoint there are no traces: unlike in the specification, none is assumed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.hpp"
#include "common/http/client_tls.hpp"
#include "common/http/message.hpp"
#include "common/telemetry/otlp_json.hpp"
#include "common/telemetry/sampler.hpp"

namespace notp {

inline constexpr int64_t kTraceTimeoutMs = 10'000;     // by the specification
inline constexpr int64_t kTraceTimeoutMsMax = 60'000;  // a longer one is cut to it
// Of variables that hold lists: entries, and bytes of a name or value.
inline constexpr size_t kTraceListMax = 64;
inline constexpr size_t kTraceTextBytesMax = 4 << 10;

struct TraceConfig {
  std::string endpoint;  // http:// or https://, with its path; empty: no traces
  http::Headers headers;
  int64_t timeout_ms = kTraceTimeoutMs;
  http::ClientTlsFiles tls;
  Sampler sampler;
  SpanSource source;
  // What is wrong with variables, a line each, for a person. As the specification wants, it stops
  // no program: a wrong endpoint means no traces, another wrong variable counts as not set. Values
  // that may be secret are not repeated.
  std::vector<std::string> warnings;

  // `program` is the service's name when no variable has one.
  static TraceConfig read(const Environment& environment, std::string_view program);
};

}  // namespace notp
