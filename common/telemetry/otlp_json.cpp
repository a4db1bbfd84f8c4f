#include "common/telemetry/otlp_json.hpp"

#include <charconv>

#include "common/json/json.hpp"

namespace notp {
namespace {

constexpr int kStatusError = 2;  // Status.StatusCode.STATUS_CODE_ERROR

template <size_t kBytes>
std::string hex(const std::array<uint8_t, kBytes>& id) {
  return to_hex({reinterpret_cast<const char*>(id.data()), id.size()});
}

json::object json_of(const SpanAttribute& attribute) {
  json::object value;
  if (const auto* text = std::get_if<std::string>(&attribute.value))
    value["stringValue"] = *text;
  else if (const auto* number = std::get_if<int64_t>(&attribute.value))
    value["intValue"] = std::to_string(*number);
  else if (const auto* fraction = std::get_if<double>(&attribute.value))
    value["doubleValue"] = *fraction;
  else
    value["boolValue"] = std::get<bool>(attribute.value);
  return {{"key", attribute.key}, {"value", std::move(value)}};
}

json::array json_of(const std::vector<SpanAttribute>& attributes) {
  json::array out;
  for (const SpanAttribute& attribute : attributes) out.push_back(json_of(attribute));
  return out;
}

json::object json_of(const SpanRecord& span) {
  json::object out{{"traceId", hex(span.trace)},
                   {"spanId", hex(span.span)},
                   {"name", span.name},
                   {"kind", static_cast<int>(span.kind)},
                   {"startTimeUnixNano", std::to_string(span.start_ns)},
                   {"endTimeUnixNano", std::to_string(span.end_ns)}};
  if (span.parent != SpanId{}) out["parentSpanId"] = hex(span.parent);
  if (!span.attributes.empty()) out["attributes"] = json_of(span.attributes);
  if (!span.error.empty())
    out["status"] = json::object{{"code", kStatusError}, {"message", span.error}};
  return out;
}

uint64_t number_of(const json::value& value) {
  if (const auto* number = value.if_int64())
    return *number < 0 ? 0 : static_cast<uint64_t>(*number);
  if (const auto* number = value.if_uint64()) return *number;
  uint64_t out = 0;
  if (const auto* text = value.if_string())
    std::from_chars(text->data(), text->data() + text->size(), out);
  return out;
}

}  // namespace

Bytes otlp_request(const SpanSource& source, std::span<const SpanRecord> spans) {
  json::array records;
  for (const SpanRecord& span : spans) records.push_back(json_of(span));
  json::object of_scope{
      {"scope", json::object{{"name", source.scope}, {"version", source.scope_version}}},
      {"spans", std::move(records)}};
  json::object of_resource{
      {"resource", json::object{{"attributes", json_of(source.resource)}}},
      {"scopeSpans", json::array{std::move(of_scope)}},
  };
  return json::serialize(json::object{{"resourceSpans", json::array{std::move(of_resource)}}});
}

uint64_t otlp_rejected(ByteView body) {
  const auto document = parse_json(body);
  if (!document || !document->is_object()) return 0;
  const json::value* partial = document->get_object().if_contains("partialSuccess");
  if (partial == nullptr || !partial->is_object()) return 0;
  const json::value* rejected = partial->get_object().if_contains("rejectedSpans");
  return rejected == nullptr ? 0 : number_of(*rejected);
}

}  // namespace notp
