// What an audit store reads back and what askers send. The first byte chooses: 0 the head of a
// segment (the next two bytes are the number of its records), 1 a cursor, 2 a JSON text whose
// values are found. Each is refused, or read within its limits.
#include "common/assert.hpp"
#include "notp-server/audit/audit_limits.hpp"
#include "notp-server/audit/json_values.hpp"
#include "notp-server/audit/search_cursor.hpp"
#include "notp-server/audit/segment_head.hpp"
#include "notp-server/audit/value_filter.hpp"

namespace {

using namespace notp;

void check_head(ByteView input) {
  if (input.size() < 2) return;
  const size_t count = static_cast<uint8_t>(input[0]) * 256U + static_cast<uint8_t>(input[1]);
  const auto head = audit::HeadColumns::decode(input.substr(2), count);
  if (!head) {
    NOTP_ASSERT(head.error().code == ErrorCode::kCorrupt, "a refusal with a foreign code");
    return;
  }
  NOTP_ASSERT(head->shape_of_record().size() == count, "a head of other records");
  NOTP_ASSERT(head->shapes().size() <= limits::kSegmentRecordsMax, "too many shapes");
  for (const uint16_t shape : head->shape_of_record())
    NOTP_ASSERT(shape < head->shapes().size(), "a shape that is not there");
  if (const auto times = head->times_us())
    NOTP_ASSERT(times->size() == count, "another number of times");
  if (const auto active = head->active())
    NOTP_ASSERT(active->size() == count, "another number of positions");
}

void check_cursor(ByteView input) {
  for (const bool ascending : {false, true}) {
    const auto cursor = audit::SearchCursor::decode(input, ascending);
    if (!cursor) {
      NOTP_ASSERT(cursor.error().code == ErrorCode::kUsage, "a refusal with a foreign code");
      continue;
    }
    NOTP_ASSERT(cursor->encode() == input, "a cursor with two encodings");
    NOTP_ASSERT(cursor->key + 1 > cursor->key && cursor->key > 0, "a key without neighbours");
  }
}

void check_values(ByteView input) {
  Bytes scratch;
  std::vector<Bytes> values;
  size_t bytes = 0;
  audit::FilterBuilder filter;
  audit::visit_json_values(input, scratch, [&](ByteView value) {
    bytes += value.size();
    values.emplace_back(value);
    return true;
  });
  filter.add_json(input);
  const Bytes built = std::move(filter).build();
  NOTP_ASSERT(built.size() <= limits::kFilterBytesMax, "a filter that is too large");
  // An escape is never shorter than its meaning: at most U+FFFD for 6 bytes.
  NOTP_ASSERT(bytes <= input.size(), "more text than there was");
  for (const Bytes& value : values)
    NOTP_ASSERT(audit::may_hold(built, audit::value_hash(value)), "a value that is not found");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      check_head(rest);
      break;
    case 1:
      check_cursor(rest);
      break;
    default:
      check_values(rest);
  }
  return 0;
}
