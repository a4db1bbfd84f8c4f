// Pages of questions about recorded decisions: counts, limits, cursors, addresses, segments, logs.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <set>
#include <tuple>

#include "common/limits.hpp"
#include "notp-server/audit/json_values.hpp"
#include "notp-server/audit/search_cursor.hpp"
#include "protocol/record/segment.hpp"
#include "tests/support/registry/search_site.hpp"
#include "tests/support/results.hpp"

namespace notp::audit {
namespace {

TEST_CASE("counts are those of a scan, by path, ledger and outcome") {
  SearchSite site;
  site.fill();
  std::map<std::tuple<std::string, std::string, record::Outcome>, uint64_t> expected, counted;
  for (const Kept& kept : site.kept)
    if (const auto* decision = decision_of(kept))
      ++expected[{decision->path, decision->ledger, decision->outcome}];
  // A page of few bytes ends within segments.
  for (const size_t bytes : {limits::kAuditPageBytesMax, size_t{600}}) {
    counted.clear();
    size_t pages = 0;
    wire::DecisionCountsRequest request;
    for (;; ++pages) {
      const auto page = site.search({.page_bytes_max = bytes}).counts(request, sees_all);
      REQUIRE(page);
      for (const auto& row : page->rows) counted[{row.path, row.ledger, row.outcome}] += row.count;
      if (!page->more) break;
      request.cursor = page->cursor;
    }
    CHECK(counted == expected);
    CHECK((pages > 0) == (bytes == 600));
  }
}

TEST_CASE("pages end by bytes and by time, and miss nothing") {
  SearchSite site;
  site.fill();
  const auto expected =
      scan(site, [](const Kept& kept) { return decision_of(kept) != nullptr; }, false);
  const wire::DecisionsRequest request{.filter = {}, .cursor = {}, .rows_max = 1'000};
  CHECK(all_pages(site, request, sees_all, {.page_bytes_max = 5'000}) == expected);
  // A clock that jumps: each page is one segment.
  TimeMs now_ms = 0;
  CHECK(all_pages(site, request, sees_all,
                  {.boot_ms = [&] { return now_ms += 20'000; }, .page_ms = 30'000}) == expected);
  const auto page = site.search({.page_bytes_max = 5'000}).decisions(request, sees_all);
  REQUIRE(page);
  size_t bytes = 0;
  for (const auto& row : page->rows) bytes += row.record.size() + row.active.size();
  CHECK(bytes <= 5'000);
  CHECK(page->rows.size() > 1);
}

TEST_CASE("how much was searched is said") {
  SearchSite site;
  site.fill();
  const auto page = site.search().decisions(
      {.filter = {.values = {"nothing has this"}}, .cursor = {}, .rows_max = 10}, sees_all);
  REQUIRE(page);
  CHECK(page->rows.empty());
  CHECK(page->searched == site.kept.size());
  uint64_t searched = 0;
  wire::DecisionsRequest request{.filter = {}, .cursor = {}, .rows_max = 13};
  for (;;) {
    const auto part = site.search().decisions(request, sees_all);
    REQUIRE(part);
    searched += part->searched;
    if (!part->more) break;
    request.cursor = part->cursor;
  }
  CHECK(searched == site.kept.size());
}

TEST_CASE("a cursor is of one direction, and any other text is refused") {
  SearchSite site;
  site.fill();
  const auto page = site.search().decisions({.filter = {}, .cursor = {}, .rows_max = 3}, sees_all);
  REQUIRE(page);
  for (const Bytes& cursor : {page->cursor, Bytes("x"), Bytes("\1\1"), page->cursor + "x"}) {
    const auto refused = site.search().decisions(
        {.filter = {}, .cursor = cursor, .rows_max = 3, .oldest_first = true}, sees_all);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kUsage);
  }
  // One that points anywhere gives a page.
  for (const uint32_t index : {0U, 1'023U, SearchCursor::kBeyond})
    CHECK(site.search().decisions(
        {.filter = {}, .cursor = SearchCursor{7, index, false}.encode(), .rows_max = 3}, sees_all));
}

TEST_CASE("what was appended since the first page does not disturb the next") {
  SearchSite site;
  site.fill();
  const auto expected =
      scan(site, [](const Kept& kept) { return decision_of(kept) != nullptr; }, false);
  wire::DecisionsRequest request{.filter = {}, .cursor = {}, .rows_max = 500};
  const auto first = site.search().decisions(request, sees_all);
  REQUIRE(first);
  site.add(*site.logs[1], site.logs[1]->next(50));
  request.cursor = first->cursor;
  auto got = places(first->rows);
  for (const Place& place : all_pages(site, request)) got.push_back(place);
  CHECK(got == expected);
}

TEST_CASE("a decision is found by its address") {
  SearchSite site;
  site.fill();
  const Kept& kept = site.kept[site.kept.size() / 2];
  const record::Position position = kept.record.place.position;
  const auto ask = [&](uint32_t run, record::Position at, const MaySee& may_see) {
    wire::DecisionFilter filter;
    filter.kinds = {record::Kind::kDecision, record::Kind::kActive, record::Kind::kGap};
    filter.decision_id = record::DecisionAddress::of(kept.log->id, run, at).text();
    const auto page =
        site.search().decisions({.filter = filter, .cursor = {}, .rows_max = 10}, may_see);
    REQUIRE(page);
    CHECK_FALSE(page->more);
    return page->rows;
  };
  const auto rows = ask(1, position, sees_all);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].record == record::encode(kept.record));
  CHECK(rows[0].log == kept.log->id);
  CHECK(!rows[0].active.empty());
  CHECK(ask(2, position, sees_all).empty());
  CHECK(ask(1, 1'000'000, sees_all).empty());
  if (decision_of(kept) != nullptr)
    CHECK(ask(1, position, [](std::string_view) { return false; }).empty());
}

TEST_CASE("the ACTIVE record comes once in a page, with the first row that needs it") {
  SearchSite site;
  site.fill();
  const auto page =
      site.search().decisions({.filter = {}, .cursor = {}, .rows_max = 1'000}, sees_all);
  REQUIRE(page);
  std::set<Place> seen;
  for (const wire::DecisionRow& row : page->rows) {
    const auto record = record::decode(row.record);
    REQUIRE(record);
    const bool is_first = seen.emplace(row.log, record->place.active).second;
    CHECK(is_first == !row.active.empty());
    if (!is_first) continue;
    const auto active = record::decode(row.active);
    REQUIRE(active);
    CHECK(active->kind() == record::Kind::kActive);
    CHECK(active->place.position == record->place.active);
  }
  CHECK(seen.size() > 1);
}

TEST_CASE("a segment is given whole, or with closed leaves and no secret") {
  SearchSite site;
  samples::NodeLog& log = *site.logs[0];
  const record::Segment first = log.next(300);
  site.add(log, first);
  const auto whole_of = [&](const MaySee& may_see, size_t part_bytes) {
    wire::SegmentRequest request{log.id, 150, 0};
    wire::SegmentPart out;
    for (Bytes content;;) {
      const auto part = site.search({.page_bytes_max = part_bytes}).segment(request, may_see);
      REQUIRE_MESSAGE(part, part.error().message);
      REQUIRE((!part->content.empty() || part->total == 0));
      content += part->content;
      out = *part;
      out.content = content;
      if (content.size() >= part->total) return out;
      request.offset = content.size();
    }
  };
  for (const size_t part_bytes : {limits::kAuditPageBytesMax, size_t{1'000}}) {
    const auto open = whole_of(sees_all, part_bytes);
    CHECK_FALSE(open.reduced);
    CHECK(open.head == first.head);
    CHECK(open.content == first.body);
    const auto reduced = whole_of(
        [](std::string_view ledger) { return ledger == "100000000002/payments"; }, part_bytes);
    CHECK(reduced.reduced);
    CHECK(reduced.head.secret == Bytes(32, '\0'));
    const auto records = record::open_reduced(reduced.head, reduced.content);
    REQUIRE(records);
    record::Frontier tree;
    for (size_t i = 0; i < records->size(); ++i) {
      const auto* decision = std::get_if<record::DecisionContent>(&log.records[i].content);
      const bool is_open = decision == nullptr || decision->ledger == "100000000002/payments";
      CHECK((*records)[i].record.has_value() == is_open);
      if (is_open) CHECK(*(*records)[i].record == record::encode(log.records[i]));
      tree.append((*records)[i].leaf);
    }
    CHECK(tree == log.tree);
  }
  const auto unknown = site.search().segment({log.id, 300, 0}, sees_all);
  CHECK(unknown.error().code == ErrorCode::kNotFound);
  const auto beyond = site.search().segment({log.id, 0, 1'000'000}, sees_all);
  CHECK(beyond.error().code == ErrorCode::kUsage);
  const record::Segment dropped = samples::NodeLog::without_body(log.next(10));
  REQUIRE(site.store->append({samples::stored(log, dropped, log.tree, site.now_ms)}));
  const auto bare = site.search().segment({log.id, 305, 0}, sees_all);
  REQUIRE(bare);
  CHECK(bare->total == 0);
  CHECK(bare->subtrees == dropped.subtrees);
}

TEST_CASE("logs are listed with their faults, page by page") {
  SearchSite site;
  site.fill();
  REQUIRE(site.store->put_fault({.log = site.logs[0]->id,
                                 .code = ErrorCode::kLogGap,
                                 .position = 9,
                                 .message = "why",
                                 .at_ms = 5,
                                 .checkpoint = "note",
                                 .segment = {}}));
  for (const size_t bytes : {limits::kAuditPageBytesMax, size_t{1}}) {
    std::vector<wire::LogRow> rows;
    wire::LogsRequest request;
    for (;;) {
      const auto page = site.search({.page_bytes_max = bytes}).logs(request);
      REQUIRE(page);
      REQUIRE(!page->rows.empty());
      for (const wire::LogRow& row : page->rows) rows.push_back(row);
      if (!page->more) break;
      request.after = page->rows.back().log;
    }
    REQUIRE(rows.size() == 3);
    CHECK(std::ranges::is_sorted(rows, {}, &wire::LogRow::log));
    for (const wire::LogRow& row : rows) {
      const auto& log =
          **std::ranges::find(site.logs, row.log, [](const auto& one) { return one->id; });
      CHECK(row.size == log.tree.size());
      CHECK(row.root == log.tree.root());
      CHECK(row.faults.size() == (log.node == samples::node_id("edge-1") ? 1 : 0));
    }
  }
  const auto page = site.search().logs({.node = samples::node_id("edge-*"), .after = {}});
  REQUIRE(page);
  CHECK(page->rows.size() == 2);
}

TEST_CASE("a stopped search ends after one segment") {
  SearchSite site;
  site.fill();
  AuditSearch search(*site.store, {});
  search.stop();
  const auto page = search.decisions(
      {.filter = {.values = {"nothing has this"}}, .cursor = {}, .rows_max = 10}, sees_all);
  REQUIRE(page);
  CHECK(page->more);
  CHECK(page->searched < site.kept.size());
}

TEST_CASE("a large store answers from heads and filters") {
  const uint64_t wanted = count_of("NOTP_AUDIT_RECORDS", 20'480);
  SearchSite site;
  samples::NodeLog& log = *site.logs[0];
  const auto ms_of = [](const auto& work) {
    const auto began = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began)
        .count();
  };
  double index_ms = 0, append_ms = 0;
  std::string rare;
  while (log.tree.size() < wanted) {
    std::vector<StoredSegment> round;
    for (int i = 0; i < 20; ++i) {
      record::Segment segment = log.next(limits::kSegmentRecordsMax);
      StoredSegment stored;
      index_ms += ms_of([&] { stored = samples::stored(log, std::move(segment), log.tree, 1); });
      round.push_back(std::move(stored));
    }
    append_ms += ms_of([&] { REQUIRE(site.store->append(round)); });
  }
  // An id of one request.
  constexpr size_t kUuidBytes = 36;
  Bytes scratch;
  for (size_t i = wanted / 2; rare.empty(); ++i)
    if (const auto* decision = std::get_if<record::DecisionContent>(&log.records[i].content);
        decision != nullptr && decision->input)
      visit_json_values(*decision->input, scratch, [&](ByteView value) {
        if (value.size() == kUuidBytes) rare = value;
        return rare.empty();
      });
  const AuditSearch search(*site.store, {});
  const auto page_ms = [&](wire::DecisionFilter filter, size_t& rows) {
    return ms_of([&] {
      wire::DecisionsRequest request{.filter = std::move(filter), .cursor = {}, .rows_max = 50};
      const auto page = search.decisions(request, sees_all);
      REQUIRE(page);
      rows = page->rows.size();
    });
  };
  size_t hits = 0, newest = 0, none = 0, shown = 0;
  wire::DecisionFilter filter;
  filter.contains = "a text that nothing has";
  const double contains_ms = page_ms(filter, none);
  filter.contains = {};
  const double newest_ms = page_ms(filter, newest);
  filter.values = {rare};
  const double rare_ms = page_ms(filter, hits);
  filter.values = {};
  filter.kinds = {record::Kind::kDecision, record::Kind::kActive, record::Kind::kGap};
  filter.decision_id = record::DecisionAddress::of(log.id, 1, wanted / 3).text();
  const double show_ms = page_ms(filter, shown);
  uint64_t counted = 0;
  const double counts_ms = ms_of([&] {
    const auto page = search.counts({}, sees_all);
    REQUIRE(page);
    CHECK_FALSE(page->more);
    for (const auto& row : page->rows) counted += row.count;
  });
  uint64_t decisions = 0;
  for (const record::Record& record : log.records)
    decisions += record.kind() == record::Kind::kDecision ? 1 : 0;
  CHECK(counted == decisions);
  CHECK(newest == 50);
  CHECK(none == 0);
  CHECK(shown == 1);
  CHECK(hits >= 1);
  const double count = static_cast<double>(log.tree.size());
  record_result(
      "audit store", fmt::format("{} records", log.tree.size()),
      fmt::format("index {:.2f} us, append {:.2f} us a record; one id {:.1f} ms, newest 50 {:.1f} "
                  "ms, rare value {:.1f} ms, counts {:.1f} ms, text {:.1f} ms",
                  index_ms * 1'000 / count, append_ms * 1'000 / count, show_ms, newest_ms, rare_ms,
                  counts_ms, contains_ms));
}

}  // namespace
}  // namespace notp::audit
