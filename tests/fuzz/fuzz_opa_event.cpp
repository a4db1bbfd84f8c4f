// Events of OPA: an array as posted to /logs, or a line of file_logger. What is read must fit into
// a record that decodes again, and be the same when it is read again.
#include "common/assert.hpp"
#include "common/limits.hpp"
#include "notp-client/opa_log/json_text.hpp"
#include "notp-client/opa_log/opa_event.hpp"

namespace {

using namespace notp;

void check(const opa_log::OpaEvent& event) {
  record::Record record{
      .place = {.position = 1, .run = 1}, .time_ns = event.time_ns, .content = event.content};
  const Bytes bytes = record::encode(record);
  NOTP_ASSERT(bytes.size() <= limits::kRecordBytesMax, "an event that does not fit");
  const auto again = record::decode(bytes);
  NOTP_ASSERT(again && *again == record, "a record that does not decode");
  for (const auto& text : {event.content.input, event.content.result})
    NOTP_ASSERT(!text || opa_log::compact_json(*text) == text, "JSON that is not compact");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView text(reinterpret_cast<const char*>(data), size);
  if (const auto events = opa_log::parse_events(text))
    for (const opa_log::OpaEvent& event : events->events) check(event);
  if (const auto event = opa_log::parse_line(text); event && *event) check(**event);
  if (const auto event = opa_log::parse_long_line(text)) check(*event);
  return 0;
}
