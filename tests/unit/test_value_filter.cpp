// Values of JSON, the Bloom filters over them, and heads of segments.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <set>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "notp-server/audit/json_values.hpp"
#include "notp-server/audit/segment_head.hpp"
#include "notp-server/audit/segment_index.hpp"
#include "notp-server/audit/value_filter.hpp"
#include "tests/support/registry/node_logs.hpp"

namespace notp::audit {
namespace {

std::vector<std::string> values_of(ByteView json) {
  std::vector<std::string> out;
  Bytes scratch;
  visit_json_values(json, scratch, [&](ByteView value) {
    out.emplace_back(value);
    return true;
  });
  return out;
}

using Texts = std::vector<std::string>;

TEST_CASE("strings, names and numbers of a JSON text are its values") {
  CHECK(values_of(R"({"user":"alice","n":[1,-2.50,1e+3,true,null],"o":{"k":"v"}})") ==
        Texts{"user", "alice", "n", "1", "-2.50", "1e+3", "o", "k", "v"});
  CHECK(values_of("12345678901234567890123") == Texts{"12345678901234567890123"});
  CHECK(values_of(R"(["",""])") == Texts{"", ""});
  CHECK(values_of("true").empty());
}

TEST_CASE("escapes are undone") {
  CHECK(values_of(R"("a\"b\\c\/d\n")") == Texts{"a\"b\\c/d\n"});
  CHECK(values_of(R"(["\u0061lice","gr\u00fcn","\u20ac","\ud83d\ude00"])") ==
        Texts{"alice", "gr\xc3\xbcn", "\xe2\x82\xac", "\xf0\x9f\x98\x80"});
  // Half a pair has no text; the other half, and what follows, is its own.
  CHECK(values_of(R"(["\ud83dx","\ude00","\ud83d\u0041"])") == Texts{"\xef\xbf\xbdx",
                                                                     "\xef\xbf\xbd",
                                                                     "\xef\xbf\xbd"
                                                                     "A"});
}

TEST_CASE("a text that is not JSON has some values, and an end") {
  for (const char* text : {"\"", "\"\\", "\"\\u", "\"\\u12", "\"abc", "\"a\\\"", "-", "1e", "\\",
                           "", "\"\\q\"", "\"\\ud83d\\u\""})
    CHECK(values_of(text) == values_of(text));
  CHECK(values_of("\"abc") == Texts{"abc"});
  CHECK(values_of("\"a\\qb\"") == Texts{"a\\qb"});
}

TEST_CASE("a filter has every value that was added, and few others") {
  for (const size_t count : {1UZ, 10UZ, 1'000UZ, 20'000UZ}) {
    FilterBuilder builder;
    for (size_t i = 0; i < count; ++i)
      for (int twice = 0; twice < 2; ++twice) builder.add(fmt::format("value {}", i));
    const Bytes filter = std::move(builder).build();
    CHECK(filter.size() == (count * 10 + 7) / 8);
    for (size_t i = 0; i < count; ++i)
      REQUIRE(may_hold(filter, value_hash(fmt::format("value {}", i))));
    size_t wrong = 0;
    for (size_t i = 0; i < 100'000; ++i)
      wrong += may_hold(filter, value_hash(fmt::format("other {}", i))) ? 1 : 0;
    MESSAGE(count << " values: " << wrong << " of 100000 others seem to be there");
    if (count >= 1'000) CHECK(wrong < 1'500);
  }
}

TEST_CASE("a filter of too many values is bounded, and still has each of them") {
  FilterBuilder builder;
  Bytes json = "[";
  for (size_t i = 0; i < 200'000; ++i) json += fmt::format("{},", i);
  builder.add_json(json + "0]");
  const Bytes filter = std::move(builder).build();
  CHECK(filter.size() == limits::kFilterBytesMax);
  for (size_t i = 0; i < 200'000; ++i) REQUIRE(may_hold(filter, value_hash(std::to_string(i))));
}

TEST_CASE("a filter of nothing has nothing") {
  CHECK(FilterBuilder().build().empty());
  CHECK_FALSE(may_hold("", value_hash("a")));
}

TEST_CASE("the head of a segment gives back what was added") {
  samples::NodeLog log("edge-1", 1);
  const record::Segment segment = log.next(1'024);
  HeadBuilder builder;
  for (const record::Record& record : log.records) builder.add(record);
  const Bytes head = *builder.build();
  MESSAGE("bytes of head a record: " << static_cast<double>(head.size()) / 1'024);
  CHECK(head.size() < 6 * 1'024);
  const auto columns = HeadColumns::decode(head, 1'024);
  REQUIRE(columns);
  const auto times = *columns->times_us();
  const auto active = *columns->active();
  for (size_t i = 0; i < 1'024; ++i) {
    const RecordShape& shape = columns->shapes()[columns->shape_of_record()[i]];
    const RecordShape wanted = shape_of(log.records[i]);
    REQUIRE(shape.kind == wanted.kind);
    REQUIRE(shape.outcome == wanted.outcome);
    REQUIRE(shape.path == wanted.path);
    REQUIRE(shape.ledger == wanted.ledger);
    REQUIRE(times[i] == log.records[i].time_ns / 1'000);
    REQUIRE(active[i] == log.records[i].place.active);
  }
}

TEST_CASE("a head keeps more shapes than a byte counts, extreme numbers, and cuts long paths") {
  HeadBuilder builder;
  for (int i = 0; i < 1'000; ++i) {
    record::DecisionContent decision;
    decision.path = fmt::format("path/{}", i);
    builder.add({{7, 1, i % 2 == 0 ? UINT64_MAX : 0},
                 i % 2 == 0 ? INT64_MAX : INT64_MIN,
                 std::move(decision)});
  }
  record::DecisionContent longest;
  longest.path.assign(100'000, 'p');
  longest.ledger.assign(100'000, 'l');
  builder.add({{7, 1, 0}, -1, longest});
  const Bytes head = *builder.build();
  const auto columns = HeadColumns::decode(head, 1'001);
  REQUIRE(columns);
  CHECK(columns->shapes()[columns->shape_of_record()[777]].path == "path/777");
  CHECK(columns->shapes().back().path.size() == 1'024);
  CHECK(columns->shapes().back().ledger.size() == 256);
  CHECK((*columns->active())[998] == UINT64_MAX);
  CHECK((*columns->times_us())[999] == head_time_us(INT64_MIN));
  CHECK((*columns->times_us())[1'000] == -1);
}

TEST_CASE("a damaged head is refused") {
  samples::NodeLog log("edge-1", 1);
  log.next(100);
  HeadBuilder builder;
  for (const record::Record& record : log.records) builder.add(record);
  const Bytes head = *builder.build();
  CHECK(HeadColumns::decode(head, 100));
  for (const auto& wrong : {HeadColumns::decode(head, 99), HeadColumns::decode(head, 101),
                            HeadColumns::decode("", 0), HeadColumns::decode(head + "x", 100),
                            HeadColumns::decode(head.substr(0, head.size() - 1), 100)}) {
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == ErrorCode::kCorrupt);
  }
}

TEST_CASE("the index of a segment costs some microseconds a record") {
  samples::NodeLog log("edge-1", 3);
  const record::Segment segment = log.next(1'024);
  const auto opened = record::OpenedSegment::open(segment.head, segment.body);
  REQUIRE(opened);
  const auto best_us = [&](const auto& work) {
    double best = 1e9;
    for (int i = 0; i < 20; ++i) {
      const auto began = std::chrono::steady_clock::now();
      work();
      best = std::min(
          best, std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - began)
                    .count());
    }
    return best / 1'024;
  };
  size_t filter_bytes = 0;
  const double filter_us = best_us([&] {
    FilterBuilder filter;
    for (const record::Record& record : log.records)
      if (const auto* decision = std::get_if<record::DecisionContent>(&record.content)) {
        if (decision->input) filter.add_json(*decision->input);
        if (decision->result) filter.add_json(*decision->result);
      }
    filter_bytes = std::move(filter).build().size();
  });
  const double index_us = best_us([&] { REQUIRE(build_index(segment.head, *opened)); });
  const double decode_us = best_us([&] {
    for (const ByteView bytes : opened->records()) REQUIRE(record::decode(bytes));
  });
  const double open_us =
      best_us([&] { REQUIRE(record::OpenedSegment::open(segment.head, segment.body)); });
  const double hash_us = best_us([&] { leaf_hashes(segment.head, *opened); });
  MESSAGE("a record of " << (segment.head.content_bytes / 1'024) << " bytes: filter " << filter_us
                         << " us, " << (static_cast<double>(filter_bytes) / 1'024)
                         << " bytes; decode " << decode_us << " us; index " << index_us
                         << " us; decompress " << open_us << " us; hash " << hash_us << " us");
  CHECK(filter_bytes > 0);
}

}  // namespace
}  // namespace notp::audit
