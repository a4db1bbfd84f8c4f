// Messages about decision records: what their limits and rules refuse, and how pages are bounded.
#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "protocol/record/tree.hpp"
#include "protocol/wire/log_limits.hpp"
#include "tests/support/wire/wire_bytes.hpp"
#include "tests/support/wire/wire_samples.hpp"

namespace notp::wire {
namespace {

using namespace samples;

const Bytes kLog(16, 'l');

Bytes offer_bytes(const Bytes& log = kLog) {
  return field(1, "\x01") +
         field(6, field(1, log) + varint_field(2, 5) + field(3, samples::hash_bytes()));
}

// Fields of a Segment, each of which a case may replace.
struct SegmentFields {
  Bytes log = field(1, kLog), first = varint_field(2, 1026), count = varint_field(3, 3),
        size = varint_field(4, 100), content = varint_field(5, 300),
        secret = field(6, Bytes(32, 's')), checkpoint = field(7, "checkpoint"), more = {};
  Bytes bytes() const { return log + first + count + size + content + secret + checkpoint + more; }
};

Bytes segment_with(Bytes SegmentFields::* replaced, Bytes by) {
  SegmentFields fields;
  fields.*replaced = std::move(by);
  return fields.bytes();
}

Bytes subtrees(size_t count) {
  Bytes out;
  for (size_t i = 0; i < count; ++i) out += field(9, samples::hash_bytes('t'));
  return out;
}

Bytes without_body(size_t hashes) {
  SegmentFields fields;
  fields.size = {};
  fields.more = subtrees(hashes);
  return fields.bytes();
}

Bytes row_bytes(const Bytes& log = kLog) { return field(1, "node") + field(2, log); }

template <typename T>
Response decoded(const T& content) {
  FrameParser parser;
  parser.feed(encode_frame(Response{.request = 1, .what = content}));
  auto next = parser.next();
  REQUIRE((next && *next));
  return std::get<Response>(**next);
}

TEST_CASE("records: hostile payloads are refused") {
  constexpr uint64_t kAbove = limits::kPositionMax + 1;
  struct Row {
    std::string_view name;
    FrameType type;
    Bytes payload;
  };
  const Row rows[] = {
      {"an offered log id of 15 bytes", FrameType::kHello, offer_bytes(Bytes(15, 'l'))},
      {"an offered log id of 17 bytes", FrameType::kHello, offer_bytes(Bytes(17, 'l'))},
      {"two offered logs", FrameType::kHello, offer_bytes() + field(6, field(1, kLog))},
      {"an offer without a root", FrameType::kHello,
       field(1, "\x01") + field(6, field(1, kLog) + varint_field(2, 5))},
      {"an offer of too many records", FrameType::kHello,
       field(1, "\x01") +
           field(6, field(1, kLog) + varint_field(2, kAbove) + field(3, samples::hash_bytes()))},
      {"an offer of records from before time", FrameType::kHello,
       field(1, "\x01") + field(6, field(1, kLog) + varint_field(2, 5) +
                                       field(3, samples::hash_bytes()) +
                                       varint_field(4, limits::kTimestampMsMax + 1))},
      {"a grant without a log", FrameType::kLogGrant, varint_field(2, 5)},
      {"a grant from above the last position", FrameType::kLogGrant,
       field(1, kLog) + varint_field(2, kAbove)},
      {"a window too large", FrameType::kLogGrant,
       field(1, kLog) + varint_field(3, limits::kLogWindowBytes + 1)},
      {"a refusal's code over 32 bits", FrameType::kLogGrant,
       field(1, kLog) + varint_field(5, 1ULL << 32)},
      {"a refusal that is not UTF-8", FrameType::kLogGrant, field(1, kLog) + field(6, "caf\xe9")},
      {"an empty announcement", FrameType::kLogAnnouncement, field(1, {})},
      {"an announcement too long", FrameType::kLogAnnouncement,
       field(1, Bytes(limits::kAnnouncementBytesMax + 1, 'a'))},
      {"a segment of no log", FrameType::kSegment, segment_with(&SegmentFields::log, {})},
      {"a segment of no records", FrameType::kSegment, segment_with(&SegmentFields::count, {})},
      {"a segment of too many records", FrameType::kSegment,
       segment_with(&SegmentFields::count, varint_field(3, limits::kSegmentRecordsMax + 1))},
      {"a segment past the last position", FrameType::kSegment,
       segment_with(&SegmentFields::first, varint_field(2, limits::kPositionMax - 2))},
      {"a segment at 2^64 - 1", FrameType::kSegment,
       segment_with(&SegmentFields::first, varint_field(2, UINT64_MAX))},
      {"a segment without content", FrameType::kSegment, segment_with(&SegmentFields::content, {})},
      {"a segment of too much content", FrameType::kSegment,
       segment_with(&SegmentFields::content, varint_field(5, limits::kSegmentContentMax + 1))},
      {"a body that no content can have", FrameType::kSegment,
       segment_with(&SegmentFields::size,
                    varint_field(4, limits::segment_body_bytes_max(300) + 1))},
      {"a body of 2^64 - 1 bytes", FrameType::kSegment,
       segment_with(&SegmentFields::size, varint_field(4, UINT64_MAX))},
      {"a secret of 31 bytes", FrameType::kSegment,
       segment_with(&SegmentFields::secret, field(6, Bytes(31, 's')))},
      {"a secret of 33 bytes", FrameType::kSegment,
       segment_with(&SegmentFields::secret, field(6, Bytes(33, 's')))},
      {"no secret", FrameType::kSegment, segment_with(&SegmentFields::secret, {})},
      {"no checkpoint", FrameType::kSegment, segment_with(&SegmentFields::checkpoint, {})},
      {"a checkpoint too long", FrameType::kSegment,
       segment_with(&SegmentFields::checkpoint,
                    field(7, Bytes(limits::kCheckpointBytesMax + 1, 'c')))},
      {"neither body nor subtrees", FrameType::kSegment, without_body(0)},
      {"a subtree too few", FrameType::kSegment, without_body(1)},
      {"a subtree too many", FrameType::kSegment, without_body(3)},
      {"more subtrees than any segment has", FrameType::kSegment,
       without_body(limits::kSegmentSubtreesMax + 1)},
      {"a body and subtrees", FrameType::kSegment, segment_with(&SegmentFields::more, subtrees(2))},
      {"records from before time behind a segment", FrameType::kSegment,
       segment_with(&SegmentFields::more, varint_field(10, limits::kTimestampMsMax + 1))},
      {"a subtree without a hash", FrameType::kSegment,
       [] {
         SegmentFields fields;
         fields.size = {};
         fields.more = subtrees(1) + field(9, {});
         return fields.bytes();
       }()},
      {"an unknown outcome", FrameType::kRequest, field(14, field(1, varint_field(6, 6)))},
      {"an unknown kind of record", FrameType::kRequest, field(14, field(1, varint_field(11, 6)))},
      {"too many kinds", FrameType::kRequest, field(14, field(1, field(11, Bytes(9, '\x01'))))},
      {"a time before 1970", FrameType::kRequest, field(14, field(1, varint_field(1, UINT64_MAX)))},
      {"a time after 9999", FrameType::kRequest,
       field(15, field(1, varint_field(2, limits::kTimestampMsMax + 1)))},
      {"a value too long", FrameType::kRequest,
       field(14, field(1, field(8, Bytes(limits::kFilterTextBytesMax + 1, 'v'))))},
      {"too many values", FrameType::kRequest,
       field(14, field(1,
                       [] {
                         Bytes out;
                         for (size_t i = 0; i <= limits::kFilterValuesMax; ++i)
                           out += field(8, "v");
                         return out;
                       }()))},
      {"too many rows of decisions", FrameType::kRequest,
       field(14, varint_field(3, limits::kQueryRowsMax + 1))},
      {"a cursor too long", FrameType::kRequest,
       field(15, field(2, Bytes(limits::kCursorBytesMax + 1, 'c')))},
      {"a place in a list that is no log", FrameType::kRequest, field(16, field(2, "short"))},
      {"a segment asked for without a log", FrameType::kRequest, field(17, varint_field(2, 5))},
      {"a position above the last", FrameType::kRequest,
       field(17, field(1, kLog) + varint_field(2, kAbove))},
      {"an offset past any segment", FrameType::kRequest,
       field(17, field(1, kLog) + varint_field(3, limits::kSegmentAnswerBytesMax + 1))},
      {"more decisions without a cursor", FrameType::kResponse,
       varint_field(7, 1) + field(15, row_bytes())},
      {"a cursor of the last page", FrameType::kResponse, field(16, "cursor")},
      {"a row without a log", FrameType::kResponse, field(15, row_bytes({}))},
      {"decisions and counts", FrameType::kResponse,
       field(15, row_bytes()) + field(17, field(1, "/authz"))},
      {"a count of an unknown outcome", FrameType::kResponse, field(17, varint_field(3, 6))},
      {"a part of a segment too long", FrameType::kResponse,
       field(19,
             field(1, SegmentFields().bytes()) + varint_field(2, 10) + field(3, "eleven byte"))},
      {"a part of a segment above its limit", FrameType::kResponse,
       field(19, field(1, SegmentFields().bytes()) + varint_field(2, 1 << 20) +
                     field(3, Bytes(limits::kSegmentPartBytesMax + 1, 'b')))},
      {"a part of no segment", FrameType::kResponse, field(19, varint_field(2, 10))},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CAPTURE(decode_text(row.type, row.payload));
    CHECK(decode_code(row.type, row.payload) == ErrorCode::kMessage);
  }
}

TEST_CASE("records: what the hostile rows vary is accepted as it is") {
  CHECK(decode_text(FrameType::kHello, offer_bytes()) == "accepted");
  CHECK(decode_text(FrameType::kLogGrant, field(1, kLog)) == "accepted");
  CHECK(decode_text(FrameType::kLogGrant, field(1, kLog) + varint_field(2, limits::kPositionMax) +
                                              varint_field(3, limits::kLogWindowBytes)) ==
        "accepted");
  CHECK(decode_text(FrameType::kSegment, SegmentFields().bytes()) == "accepted");
  CHECK(decode_text(FrameType::kSegment, without_body(2)) == "accepted");
  CHECK(decode_text(FrameType::kSegment,
                    segment_with(&SegmentFields::size,
                                 varint_field(4, limits::segment_body_bytes_max(300)))) ==
        "accepted");
  CHECK(decode_text(FrameType::kSegment, segment_with(&SegmentFields::first,
                                                      varint_field(2, limits::kPositionMax - 3))) ==
        "accepted");
  for (const uint32_t number : {14, 15, 16})
    CHECK(decode_text(FrameType::kRequest, field(number, {})) == "accepted");
  CHECK(decode_text(FrameType::kRequest, field(17, field(1, kLog))) == "accepted");
  CHECK(decode_text(FrameType::kResponse, varint_field(7, 1) + field(16, "cursor")) == "accepted");
  CHECK(decode_text(FrameType::kResponse, field(15, row_bytes())) == "accepted");
}

TEST_CASE("no segment has more subtrees than its message may list") {
  size_t most = 0;
  for (uint64_t first = 0; first < 2 * limits::kSegmentRecordsMax; ++first)
    for (uint64_t count = 1; count <= limits::kSegmentRecordsMax; count += 7)
      most = std::max(most, record::subtree_count(first, count));
  CHECK(most <= limits::kSegmentSubtreesMax);
  CHECK(record::subtree_count(1, 1022) == limits::kSegmentSubtreesMax);
}

TEST_CASE("a page of decisions too long for a frame is not cut: its cursor would skip rows") {
  DecisionsPage page{{}, true, "cursor", 1};
  DecisionRow row = decision_rows()[0];
  row.record = Bytes(300'000, 'r');
  page.rows.assign(3, row);
  CHECK(try_encode_frame(Response{.what = page}));
  page.rows.push_back(row);
  const auto refused = try_encode_frame(Response{.what = page});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInternal);
}

TEST_CASE("a page of logs too long for a frame loses its last rows and says so") {
  LogRow row = log_row();
  row.announcement = Bytes(limits::kAnnouncementBytesMax, 'a');
  const Response back = decoded(LogsPage{std::vector<LogRow>(40, row), false});
  const auto& page = std::get<LogsPage>(back.what);
  CHECK(page.more);
  CHECK(page.rows.size() == 31);
  CHECK(page.rows.back().announcement == row.announcement);
}

TEST_CASE("a log's row lists its newest faults, so that one row always fits a frame") {
  LogRow row = log_row();
  row.announcement = Bytes(limits::kAnnouncementBytesMax, 'a');
  LogFault fault = row.faults[0];
  fault.message = Bytes(2 * limits::kErrorTextBytesMax, 'm');
  fault.checkpoint = Bytes(limits::kCheckpointBytesMax, 'c');
  row.faults.assign(limits::kForksKeptMax, fault);
  row.faults[0].position = 77;
  const Response back = decoded(LogsPage{{row}, false});
  const auto& page = std::get<LogsPage>(back.what);
  REQUIRE(page.rows.size() == 1);
  CHECK_FALSE(page.more);
  CHECK(page.rows[0].faults.size() == limits::kLogFaultsListedMax);
  CHECK(page.rows[0].faults[0].position == 77);
}

TEST_CASE("a page of records without rows stays what it is, and says where to go on") {
  const Response decisions = decoded(DecisionsPage{{}, true, "here", 0});
  CHECK(std::get<DecisionsPage>(decisions.what).cursor == "here");
  const Response searched = decoded(DecisionsPage{{}, false, {}, 9});
  CHECK(std::get<DecisionsPage>(searched.what).searched == 9);
  const Response counts = decoded(DecisionCountsPage{{}, true, "there"});
  CHECK(std::get<DecisionCountsPage>(counts.what).cursor == "there");
  auto nothing = take_response<DecisionsRequest>(decoded(DecisionsPage{}));
  REQUIRE(nothing);
  CHECK_FALSE(nothing->more);
}

TEST_CASE("the largest messages about records fit into a frame") {
  Segment segment = samples::segment();
  segment.head.checkpoint = Bytes(limits::kCheckpointBytesMax, 'c');
  CHECK(try_encode_frame(segment));
  SegmentPart part = segment_part();
  part.total = limits::kSegmentAnswerBytesMax;
  part.head.checkpoint = segment.head.checkpoint;
  part.content = Bytes(limits::kSegmentPartBytesMax, 'b');
  CHECK(try_encode_frame(Response{.what = part}));
  DecisionFilter filter = decision_filter();
  filter.values.assign(limits::kFilterValuesMax, Bytes(limits::kFilterTextBytesMax, 'v'));
  filter.contains = Bytes(limits::kFilterTextBytesMax, 'c');
  CHECK(try_encode_frame(Request{1, DecisionsRequest{filter, {}, 1, false}}));
}

TEST_CASE(
    "a filter that is not UTF-8 is not sent: cut or changed it would ask for something else") {
  DecisionFilter filter;
  filter.contains = "caf\xe9";
  const auto refused = try_encode_frame(Request{1, DecisionsRequest{filter, {}, 1, false}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.contains("contains is not UTF-8"));
}

}  // namespace
}  // namespace notp::wire
