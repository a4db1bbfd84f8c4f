// Messages about token lanes: what their limits and rules refuse, and how a page is bounded.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "protocol/wire/lane_limits.hpp"
#include "tests/support/wire/lane_samples.hpp"
#include "tests/support/wire/wire_bytes.hpp"
#include "tests/support/wire/wire_samples.hpp"

namespace notp::wire {
namespace {

using namespace samples;

const Bytes kId(16, '\x0a'), kShortId(15, '\x0a'), kZeroId(16, '\0');
const Bytes kKey = Bytes(1, '\x04') + kId;
const Bytes kLane = field(1, "login");
const Bytes kSignature(64, 's');

Bytes position() { return field(3, kId) + varint_field(4, 1) + varint_field(5, 40); }
Bytes subscribe() { return kLane + varint_field(2, 1); }
Bytes statement(uint64_t type = 1, const Bytes& body = "body",
                const Bytes& signature = kSignature) {
  return varint_field(1, type) + field(3, body) + field(4, signature);
}
Bytes ids(size_t count) {
  Bytes out;
  for (size_t i = 0; i < count; ++i) out += field(1, kId);
  return out;
}
Bytes mark() { return varint_field(3, 1) + field(4, "https://login.internal") + field(5, "ada"); }

TEST_CASE("lanes: hostile payloads are refused") {
  const Bytes long_name(limits::kLaneNameBytesMax + 1, 'l');
  const struct {
    std::string_view name;
    FrameType type;
    Bytes payload;
  } rows[] = {
      {"no lane", FrameType::kLaneSubscribe, varint_field(2, 1)},
      {"a lane's name too long", FrameType::kLaneSubscribe,
       field(1, long_name) + varint_field(2, 1)},
      {"no mode", FrameType::kLaneSubscribe, kLane},
      {"an unknown mode", FrameType::kLaneSubscribe, kLane + varint_field(2, 3)},
      {"a revision of no instance", FrameType::kLaneSubscribe, subscribe() + varint_field(5, 40)},
      {"an instance of 15 bytes", FrameType::kLaneSubscribe,
       subscribe() + field(3, kShortId) + varint_field(4, 1)},
      {"an instance of zeros", FrameType::kLaneSubscribe,
       subscribe() + field(3, kZeroId) + varint_field(4, 1)},
      {"a position without a grant", FrameType::kLaneSubscribe, subscribe() + field(3, kId)},
      {"the rest of no snapshot", FrameType::kLaneSubscribe,
       subscribe() + position() + field(7, kKey)},
      {"the rest of a snapshot of no instance", FrameType::kLaneSubscribe,
       subscribe() + varint_field(6, 1) + field(7, kKey)},
      {"a key of an unknown kind", FrameType::kLaneSubscribe,
       subscribe() + position() + varint_field(6, 1) + field(7, Bytes(1, '\x05') + kId)},
      {"a short key", FrameType::kLaneSubscribe,
       subscribe() + position() + varint_field(6, 1) + field(7, kId)},
      {"a state without lane", FrameType::kLaneState, varint_field(2, 4)},
      {"a lane granted without an instance", FrameType::kLaneState, kLane + varint_field(5, 1)},
      {"a lane granted without a grant", FrameType::kLaneState, kLane + field(4, kId)},
      {"a lane refused and granted", FrameType::kLaneState,
       kLane + varint_field(2, 4) + field(4, kId) + varint_field(5, 1)},
      {"a statement of an unknown type", FrameType::kLaneStatement, statement(4)},
      {"a statement of no type", FrameType::kLaneStatement, statement(0)},
      {"an empty statement", FrameType::kLaneStatement, statement(1, "")},
      {"a statement too long", FrameType::kLaneStatement,
       statement(1, Bytes(limits::kLaneBodyBytesMax + 1, 'b'))},
      {"a statement without a signature", FrameType::kLaneStatement, statement(1, "body", "")},
      {"a signature of 63 bytes", FrameType::kLaneStatement, statement(1, "body", Bytes(63, 's'))},
      {"a question about nothing", FrameType::kLaneAsk, {}},
      {"too many questions", FrameType::kLaneAsk, ids(limits::kLaneAskIdsMax + 1)},
      {"a question about a short id", FrameType::kLaneAsk, field(1, kShortId)},
      {"a question about zeros", FrameType::kLaneAsk, field(1, kZeroId)},
      {"a report without an age", FrameType::kLaneApplied, varint_field(1, 42)},
      {"a report of an unknown age", FrameType::kLaneApplied,
       varint_field(1, 42) + varint_field(2, 4)},
      {"a request about a name too long", FrameType::kRequest, field(29, field(1, long_name))},
      {"nothing to revoke, and no revision", FrameType::kRequest, field(30, kLane)},
      {"a token and a mark", FrameType::kRequest, field(30, kLane + field(2, kId) + mark())},
      {"a token and a revision", FrameType::kRequest,
       field(30, kLane + field(2, kId) + varint_field(7, 1))},
      {"a mark of an unknown kind", FrameType::kRequest,
       field(30, kLane + varint_field(3, 5) + field(4, "i") + field(5, "v"))},
      {"a mark without an issuer", FrameType::kRequest,
       field(30, kLane + varint_field(3, 1) + field(5, "ada"))},
      {"a mark without a value", FrameType::kRequest,
       field(30, kLane + varint_field(3, 1) + field(4, "https://login.internal"))},
      {"a value too long", FrameType::kRequest,
       field(30, kLane + varint_field(3, 1) + field(4, "i") +
                     field(5, Bytes(limits::kMarkTextBytesMax + 1, 'v')))},
      {"a mark before 1970", FrameType::kRequest,
       field(30, kLane + mark() + varint_field(6, UINT64_MAX))},
      {"a token of no lane", FrameType::kRequest, field(31, field(2, kId))},
      {"no token", FrameType::kRequest, field(31, kLane)},
      {"more nodes have it than there are", FrameType::kResponse,
       field(30, varint_field(2, 1) + varint_field(3, 2))},
      {"a token without a state", FrameType::kResponse, field(31, varint_field(2, 1))},
      {"a token of an unknown state", FrameType::kResponse, field(31, varint_field(1, 4))},
      {"attributes too long", FrameType::kResponse,
       field(31, varint_field(1, 1) + field(5, Bytes(limits::kTokenAttributesBytesMax + 1, ' ')))},
      {"a row without a lane", FrameType::kResponse, field(29, varint_field(3, 1))},
      {"a source without a state", FrameType::kResponse,
       field(29, kLane + field(15, field(1, "s")))},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    CAPTURE(decode_text(row.type, row.payload));
    CHECK(decode_code(row.type, row.payload) == ErrorCode::kMessage);
  }
}

TEST_CASE("lanes: what is within the limits is accepted") {
  const struct {
    FrameType type;
    Bytes payload;
  } rows[] = {
      {FrameType::kLaneSubscribe, subscribe()},
      {FrameType::kLaneSubscribe, subscribe() + varint_field(6, 1)},
      {FrameType::kLaneSubscribe, subscribe() + position()},
      {FrameType::kLaneSubscribe, subscribe() + position() + varint_field(6, 1) + field(7, kKey)},
      {FrameType::kLaneStatement, statement(3, Bytes(limits::kLaneBodyBytesMax, 'b'))},
      {FrameType::kLaneAsk, ids(limits::kLaneAskIdsMax)},
      {FrameType::kRequest, field(30, kLane + mark())},
      {FrameType::kRequest, field(30, kLane + varint_field(7, 1))},
  };
  for (const auto& row : rows) CHECK(decode_text(row.type, row.payload) == "accepted");
}

TEST_CASE("lanes: the largest statement fits into a frame, and so do a page's first rows") {
  LaneStatement statement;
  statement.statement.body = Bytes(limits::kLaneBodyBytesMax, 'b');
  statement.statement.signature = kSignature;
  CHECK(try_encode_frame(statement));
  LanesPage page;
  for (size_t i = 0; i < limits::kLanesMax; ++i) {
    LaneRow row{.lane = fmt::format("{:064}", i)};
    LaneSourceRow source{.name = Bytes(limits::kNameBytesMax, 'n')};
    source.tells = source.message = Bytes(limits::kErrorTextBytesMax, 'm');
    row.sources.assign(limits::kLaneSourcesMax, source);
    page.rows.push_back(std::move(row));
  }
  const auto frame = try_encode_frame(Response{.request = 1, .what = page});
  REQUIRE(frame);
  FrameParser parser;
  parser.feed(*frame);
  const auto next = parser.next();
  REQUIRE((next && *next));
  const auto& read = std::get<LanesPage>(std::get<Response>(**next).what);
  CHECK(read.more);
  CHECK(read.rows.size() >= 3);
  CHECK(read.rows.size() < limits::kLanesMax);
}

}  // namespace
}  // namespace notp::wire
