// Records of three nodes in an audit store, and a naive scan of the same records.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/json/json.hpp"
#include "notp-server/audit/day_database.hpp"
#include "notp-server/audit/day_files.hpp"
#include "notp-server/audit/search.hpp"
#include "tests/support/registry/node_logs.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::audit {

inline bool sees_all(std::string_view) { return true; }

// A record by its place.
using Place = std::pair<record::LogId, record::Position>;

struct Kept {
  const samples::NodeLog* log;
  record::Record record;
};

// Three nodes over three days; segments of many sizes.
struct SearchSite {
  TemporaryFolder folder;
  TimeMs now_ms = 20'786 * kDayMs;
  std::unique_ptr<DayFiles> store;
  std::vector<std::unique_ptr<samples::NodeLog>> logs;
  std::vector<Kept> kept;  // oldest first

  SearchSite() {
    auto opened = DayFiles::open(folder.path() / "audit", {.wall_ms = [this] { return now_ms; }});
    REQUIRE(opened);
    store = *std::move(opened);
    for (const char* name : {"edge-1", "edge-2", "cellar"}) {
      logs.push_back(
          std::make_unique<samples::NodeLog>(name, static_cast<uint8_t>(logs.size() + 1)));
      REQUIRE(store->put_log({.log = logs.back()->id,
                              .node = logs.back()->node,
                              .log_key = logs.back()->log_key,
                              .announcement = logs.back()->announcement(),
                              .tree = {},
                              .first_ms = 1,
                              .last_ms = 1,
                              .pruned = 0}));
    }
  }
  void add(samples::NodeLog& log, record::Segment segment) {
    const size_t first = segment.head.first, count = segment.head.count;
    REQUIRE(store->append({samples::stored(log, std::move(segment), log.tree, now_ms)}));
    for (size_t i = first; i < first + count; ++i) kept.push_back({&log, log.records[i]});
  }
  // Some 3,000 records, and few with unusual content.
  void fill() {
    SeededRandom random(42);
    for (int round = 0; round < 30; ++round) {
      samples::NodeLog& log = *logs[random.below(logs.size())];
      add(log, log.next(1 + random.below(200)));
      if (round % 10 == 9) now_ms += kDayMs;
    }
    samples::NodeLog& log = *logs[0];
    record::DecisionContent unusual = samples::decision(5, 5);
    unusual.path = "unusual/path";
    unusual.ledger = "";
    unusual.input =
        R"({"user":"\u0061lice \"A\"","n":12345678901234567890123,"deep":[[{"x":7.50}]]})";
    unusual.decision_id = "4ca636c1-55e4-417a-b1d8-4aceb67960d1";
    std::vector<record::Record> made;
    made.push_back(log.decision_record(unusual));
    add(log, log.seal(std::move(made)));
  }

  AuditSearch search(AuditSearchOptions options = {}) const { return {*store, std::move(options)}; }
};

inline std::vector<Place> places(const std::vector<wire::DecisionRow>& rows) {
  std::vector<Place> out;
  for (const wire::DecisionRow& row : rows) out.emplace_back(row.log, row.position);
  return out;
}

// All pages, with each row's record checked against what was shipped.
inline std::vector<Place> all_pages(const SearchSite& site, wire::DecisionsRequest request,
                                    const MaySee& may_see = sees_all,
                                    AuditSearchOptions options = {}) {
  const AuditSearch search(*site.store, std::move(options));
  std::vector<Place> out;
  for (;;) {
    const auto page = search.decisions(request, may_see);
    REQUIRE_MESSAGE(page, page.error().message);
    REQUIRE(page->more == !page->cursor.empty());
    REQUIRE(page->rows.size() <= request.rows_max);
    for (const wire::DecisionRow& row : page->rows) {
      const auto record = record::decode(row.record);
      REQUIRE(record);
      REQUIRE(record->place.position == row.position);
    }
    for (const Place& place : places(page->rows)) out.push_back(place);
    if (!page->more) return out;
    request.cursor = page->cursor;
  }
}

using Wanted = std::function<bool(const Kept&)>;

inline std::vector<Place> scan(const SearchSite& site, const Wanted& wanted, bool oldest_first) {
  std::vector<Place> out;
  for (const Kept& one : site.kept)
    if (wanted(one)) out.emplace_back(one.log->id, one.record.place.position);
  if (!oldest_first) std::ranges::reverse(out);
  return out;
}

inline const record::DecisionContent* decision_of(const Kept& kept) {
  return std::get_if<record::DecisionContent>(&kept.record.content);
}

// Whether a parsed document has a string (a name, too) or a number of this text.
inline bool holds(const json::value& value, const std::string& text) {
  if (const auto* s = value.if_string()) return *s == text;
  if (const auto* a = value.if_array())
    return std::ranges::any_of(*a, [&](const json::value& v) { return holds(v, text); });
  if (const auto* o = value.if_object())
    return std::ranges::any_of(*o, [&](const auto& member) {
      return member.key() == text || holds(member.value(), text);
    });
  return value.is_number() && json::serialize(value) == text;
}

inline bool has_value(const Kept& kept, const std::string& text) {
  const auto* decision = decision_of(kept);
  if (decision == nullptr) return false;
  for (const auto* bytes : {&decision->input, &decision->result}) {
    if (!*bytes) continue;
    boost::system::error_code error;
    const json::value value = json::parse(**bytes, error);
    if (!error && holds(value, text)) return true;
  }
  return false;
}

// Both orders, in pages of many sizes.
inline void check_filter(const SearchSite& site, const wire::DecisionFilter& filter,
                         const Wanted& wanted, const MaySee& may_see = sees_all,
                         bool may_be_empty = false) {
  for (const bool oldest_first : {false, true}) {
    const auto expected = scan(site, wanted, oldest_first);
    if (!may_be_empty) CHECK(!expected.empty());
    for (const uint32_t rows_max : {1'000U, 7U}) {
      wire::DecisionsRequest request{
          .filter = filter, .cursor = {}, .rows_max = rows_max, .oldest_first = oldest_first};
      CHECK(all_pages(site, request, may_see) == expected);
    }
  }
  // The same from counts, where only decisions are asked for.
  if (!filter.kinds.empty()) return;
  uint64_t count = 0;
  wire::DecisionCountsRequest request{.filter = filter, .cursor = {}};
  for (;;) {
    const auto page = site.search().counts(request, may_see);
    REQUIRE(page);
    for (const wire::DecisionCount& row : page->rows) count += row.count;
    if (!page->more) break;
    request.cursor = page->cursor;
  }
  CHECK(count == scan(site, wanted, false).size());
}

}  // namespace notp::audit
