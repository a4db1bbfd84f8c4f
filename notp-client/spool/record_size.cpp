#include "notp-client/spool/record_size.hpp"

#include <fmt/format.h>

namespace notp::spool {
namespace {

// Of one text that describes a failure.
constexpr size_t kMessageBytesMax = 4 << 10;

std::optional<Hash> hash_of(const std::optional<Bytes>& json) {
  return json ? std::optional(sha256(*json)) : std::nullopt;
}

record::DecisionContent withheld(const record::DecisionContent& from, size_t bytes) {
  record::DecisionContent out = from;
  if (!out.withheld)
    out.withheld = {record::WithheldReason::kOversized,
                    fmt::format("the record has {} bytes, more than {}", bytes, kContentBytesMax),
                    hash_of(from.input), hash_of(from.result)};
  out.withheld->message = printable(out.withheld->message, kMessageBytesMax);
  out.input.reset();
  out.result.reset();
  for (Bytes* json : {&out.nd_builtin_cache, &out.mapped_result, &out.intermediate_results,
                      &out.rule_labels, &out.custom, &out.request_context, &out.times.all})
    json->clear();
  out.erased.clear();
  out.masked.clear();
  out.commitments.clear();
  if (out.error) {
    out.error->message = printable(out.error->message, kMessageBytesMax);
    out.error->errors.clear();
  }
  return out;
}

}  // namespace

Bytes encode_within_limit(int64_t time_ns, const record::Content& content) {
  Bytes encoded = record::encode_content(time_ns, content);
  if (encoded.size() <= kContentBytesMax) return encoded;
  if (const auto* decision = std::get_if<record::DecisionContent>(&content))
    return record::encode_content(time_ns, withheld(*decision, encoded.size()));
  if (const auto* active = std::get_if<record::ActiveSet>(&content)) {
    record::ActiveSet shorter = *active;
    shorter.system.clear();
    return record::encode_content(time_ns, shorter);
  }
  return encoded;
}

}  // namespace notp::spool
