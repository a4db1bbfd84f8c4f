// Spans as OTLP/HTTP sends them in JSON (OpenTelemetry Protocol, "JSON Protobuf Encoding"): ids in
// lower-case hexadecimal, 64-bit numbers as text, attributes with their types. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "common/telemetry/span.hpp"

namespace notp {

// Who has recorded the spans.
struct SpanSource {
  std::vector<SpanAttribute> resource;  // the process: service.name and the like
  std::string scope, scope_version;     // the code in it
};

// An ExportTraceServiceRequest.
Bytes otlp_request(const SpanSource& source, std::span<const SpanRecord> spans);

// How many spans a collector refused, by the body of its answer with status 200. 0 for one that
// says nothing of it, or is no JSON: the status alone tells that the request was taken.
uint64_t otlp_rejected(ByteView body);

}  // namespace notp
